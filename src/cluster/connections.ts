import { type Channel, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'

/** From a worker: its number of client connections. */
const count = topic<number>('connections.count', { isHint: true })
/** To each worker: the mean number per worker. */
const mean = topic<number>('connections.mean', { isHint: true })

/** Minimum interval of reports from a worker and of broadcasts of the primary, in milliseconds. */
const intervalMs = 1_000

/** The worker's side. `read` returns its number of connections. Returns a function to call when that number changes. */
export function reportConnections(
  primary: Channel,
  read: () => number,
  onMean: (mean: number) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined
  primary.on(mean, onMean)
  return () => {
    if (timer) return
    timer = setTimeout(() => {
      timer = undefined
      primary.cast(count, read())
    }, intervalMs)
    timer.unref()
  }
}

/** The primary's side: sends the mean to all workers soon after a reported change. */
export function serveConnections(workers: WorkerChannels): void {
  const counts = new Map<Channel, number>()
  let isWaiting = false
  const broadcastMean = (): void => {
    isWaiting = false
    const sum = [...counts.values()].reduce((total, connections) => total + connections, 0)
    workers.broadcast(mean, sum / counts.size)
  }
  workers.onStart((worker) => counts.set(worker, 0))
  workers.onExit((worker) => counts.delete(worker))
  workers.on(count, (connections, worker) => {
    counts.set(worker, connections)
    if (!isWaiting) setTimeout(broadcastMean, intervalMs)
    isWaiting = true
  })
}
