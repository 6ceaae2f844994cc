import type { Worker } from 'node:cluster'

/** One end of the pipe between a worker and its primary: messages arrive whole and in order. */
export interface ProcessPipe<Message> {
  /** False or a throw: the other side is gone. */
  send(message: Message): boolean
  /** Whatever comes over the pipe, also what is not ours. */
  onMessage(listener: (message: unknown) => void): void
}

/** The pipe to the other side of a cluster: `cluster.worker` in a worker, one of `cluster.workers` in the primary. */
export function primaryPipe<Message extends object>(worker: Worker): ProcessPipe<Message> {
  return {
    send(message) {
      if (!worker.isConnected()) return false
      // `false` means a long backlog here, and what is in it arrives. A broken pipe is told by the end of a process.
      worker.send(message, () => undefined)
      return true
    },
    onMessage: (listener) => {
      worker.on('message', listener)
    },
  }
}

/** How long the messages of a dead worker are waited for, in milliseconds. */
const lastMessagesMs = 1_000

/**
 * Calls back once a worker has ended and its last messages have been read. Not at `disconnect` alone: for a worker that was
 * killed it may never come.
 */
export function afterLastMessage(worker: Worker, done: () => void): void {
  worker.once('exit', () => {
    if (!worker.isConnected()) {
      done()
      return
    }
    const timer = setTimeout(end, lastMessagesMs)
    worker.once('disconnect', end)
    function end(): void {
      clearTimeout(timer)
      worker.off('disconnect', end)
      done()
    }
  })
}

/** A worker tells its primary under which name it takes leases in Redis. */
export function introduce(worker: Worker, name: string): void {
  worker.send({ leaseHolder: name }, () => undefined)
}

/** The name in a message of `introduce`; undefined for any other message. */
export function introducedName(message: unknown): string | undefined {
  if (typeof message !== 'object' || message === null || !('leaseHolder' in message)) return undefined
  return typeof message.leaseHolder === 'string' ? message.leaseHolder : undefined
}
