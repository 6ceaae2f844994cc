import type { ProcessPipe } from '../../src/stores/link.ts'

/** Two ends of a pipe that carries JSON in order, one turn of the event loop later, as between processes. */
export function processPipes<Message>(): [ProcessPipe<Message>, ProcessPipe<Message>] {
  const listeners: ((message: unknown) => void)[][] = [[], []]
  const end = (mine: number): ProcessPipe<Message> => ({
    send(message) {
      const text = JSON.stringify(message)
      setImmediate(() => {
        for (const listener of listeners[1 - mine] ?? []) listener(JSON.parse(text))
      })
      return true
    },
    onMessage: (listener) => {
      listeners[mine]?.push(listener)
    },
  })
  return [end(0), end(1)]
}
