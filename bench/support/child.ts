import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface Child {
  readonly pid: number
  /** Its output on stdout and stderr so far, except redirected output. */
  output(): string
  /** Ends it, by default with SIGKILL, and waits until it has ended. */
  stop(signal?: 'SIGTERM'): Promise<void>
}

/**
 * Starts a program and waits until `ready` returns a result; it is called whenever the program writes and every 20 ms. Rejects
 * with the program's output if it ends first, or if it cannot be started.
 */
export async function startChild<T>(
  command: string,
  args: readonly string[],
  ready: (output: string) => Promise<T | undefined> | T | undefined,
  options: { env?: Record<string, string>; stdout?: number } = {},
): Promise<{ child: Child; found: T }> {
  const { stdout = 'pipe', ...others } = options
  const started = spawn(command, args, { ...others, stdio: ['ignore', stdout, 'pipe'] })
  const output = collect(started)
  const exit = once(started, 'exit') // rejects if the program does not exist
  let ended = false
  exit.then(
    () => {
      ended = true
    },
    () => undefined,
  )
  await Promise.race([once(started, 'spawn'), exit])
  const kill = (): void => void started.kill('SIGKILL')
  process.once('exit', kill)
  endOnSignal()
  const { pid } = started
  if (pid === undefined) throw new Error(`${command} has no process id`)
  const child: Child = {
    pid,
    output,
    async stop(signal) {
      process.off('exit', kill)
      started.kill(signal ?? 'SIGKILL')
      await exit
    },
  }
  for (;;) {
    const found = await ready(output())
    if (found !== undefined) return { child, found }
    if (ended) throw new Error(`${command} ended: ${output()}`)
    await delay(20)
  }
}

/** A port of 127.0.0.1 on which no process listens now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port')
  return address.port
}

/** The port, if a process listens on it; otherwise undefined. */
export function listening(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(port)
    })
    socket.once('error', () => resolve(undefined))
  })
}

/** A signal alone would end this process without its `exit` event, and leave the children behind. */
function endOnSignal(): void {
  if (process.listenerCount('SIGTERM') > 0) return
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(1))
}

function collect({ stdout, stderr }: ChildProcess): () => string {
  let text = ''
  for (const stream of [stdout, stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      // A program under load may log much; only the beginning and the end are useful.
      if (text.length < 1_000_000) text += chunk.toString()
    })
  }
  return () => text
}
