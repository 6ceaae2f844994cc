import type { ChildProcess } from 'node:child_process'

/** Sends a message to a forked program, which replies to each with one message. Rejects if the program ends first. */
export async function askChild<T>(child: ChildProcess, message: object): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onMessage = (answer: unknown): void => resolve(answer as T) // it sends nothing else
  const onExit = (): void => reject(new Error('the load ended'))
  child.once('message', onMessage)
  child.once('exit', onExit)
  child.send(message)
  return await promise.finally(() => {
    child.off('message', onMessage)
    child.off('exit', onExit)
  })
}
