import type { ProcessPipe } from '../stores/link.ts'

/** Who sent a message is known by its pipe, so none names its worker. */
export type ConnectionsMessage =
  /** From a worker: how many clients' connections it holds. */
  | { connections: 'held'; count: number }
  /** To each worker: what they hold on average. */
  | { connections: 'mean'; mean: number }

type ConnectionsPipe = ProcessPipe<ConnectionsMessage>

/** How often a worker tells, and the primary answers, at most; in milliseconds. */
const tellEveryMs = 1_000

/** A worker's side. `read` gives its connections. Gives the way to say that their number has changed. */
export function primaryConnections(
  pipe: ConnectionsPipe,
  read: () => number,
  onMean: (mean: number) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined
  pipe.onMessage((message) => {
    if (isConnectionsMessage(message) && message.connections === 'mean') onMean(message.mean)
  })
  return () => {
    if (timer) return
    timer = setTimeout(() => {
      timer = undefined
      trySend(pipe, { connections: 'held', count: read() })
    }, tellEveryMs)
    timer.unref()
  }
}

/** The primary's side: tells all workers the mean, soon after one of them has told something new. */
export class ConnectionsDesk {
  readonly #workers = new Map<string, { pipe: ConnectionsPipe; held: number }>()
  #timer: NodeJS.Timeout | undefined

  addWorker(owner: string, pipe: ConnectionsPipe): void {
    const desk = { pipe, held: 0 }
    this.#workers.set(owner, desk)
    pipe.onMessage((message) => {
      if (!isConnectionsMessage(message) || message.connections !== 'held') return
      desk.held = message.count
      this.#timer ??= setTimeout(() => this.#tell(), tellEveryMs)
    })
  }

  removeWorker(owner: string): void {
    this.#workers.delete(owner)
  }

  #tell(): void {
    this.#timer = undefined
    const workers = [...this.#workers.values()]
    const mean = workers.reduce((sum, { held }) => sum + held, 0) / workers.length
    for (const { pipe } of workers) trySend(pipe, { connections: 'mean', mean })
  }
}

/** Both ends run the same version of this file, so the tag says all. */
function isConnectionsMessage(message: unknown): message is ConnectionsMessage {
  return typeof message === 'object' && message !== null && 'connections' in message
}

function trySend(pipe: ConnectionsPipe, message: ConnectionsMessage): void {
  try {
    pipe.send(message)
  } catch {
    // The process at the other end is gone, and whoever notices its end cleans up.
  }
}
