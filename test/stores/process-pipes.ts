import { Channel, type Pipe } from '../../src/lib/channel.ts'
import type { WorkerChannels } from '../../src/lib/worker-channels.ts'

/** Two ends of a pipe that delivers JSON in order, one event loop iteration later, as between processes. */
export function processPipes(): [Pipe, Pipe] {
  const listeners: ((message: unknown) => void)[][] = [[], []]
  const end = (mine: number): Pipe => ({
    send(message, sent) {
      const text = JSON.stringify(message)
      setImmediate(() => {
        sent()
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

/** Adds a worker to a primary's channels. Returns the worker's end of its channel. */
export function addWorker(workers: WorkerChannels, id: string): Channel {
  const [ours, theirs] = processPipes()
  workers.add(id, theirs)
  return new Channel(ours)
}

/** A worker exits, after all that it has sent has been read. */
export function endWorker(workers: WorkerChannels, id: string): void {
  workers.exited(id)
  workers.drained(id)
}
