import { type Channel, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'
import type { Status } from '../sdk/console/status.ts'

/** Status of a worker. `late`: it was too busy to respond, so this is its previous status. */
export interface StatusPart {
  part: Status
  late: boolean
}

/** From a worker: its first status; it answers `read` from now on. */
const join = topic<Status>('status.join')
/** To each worker: requests its status. */
const read = topic<void, Status>('status.read', { timeoutMs: 500 })
/** From a worker: requests the status of all. The timeout is longer than that of `read`. */
const collect = topic<void, StatusPart[]>('status.collect', { timeoutMs: 2_000 })

/**
 * The worker's side. `readOwn` returns its own status. Returns a function that queries all live workers, including this one,
 * and rejects if the primary does not respond.
 */
export function clusterStatus(primary: Channel, readOwn: () => Status): () => Promise<StatusPart[]> {
  primary.on(read, readOwn)
  primary.cast(join, readOwn())
  return () => primary.request(collect)
}

/** The primary's side: queries all live workers on request of one of them. */
export function serveStatus(workers: WorkerChannels): void {
  /** Last status of each worker. */
  const latest = new Map<Channel, Status>()
  const isLate = async (worker: Channel): Promise<boolean> => {
    try {
      const part = await worker.request(read)
      if (latest.has(worker)) latest.set(worker, part)
      return false
    } catch {
      return true
    }
  }
  workers.on(join, (part, worker) => void latest.set(worker, part))
  workers.onExit((worker) => latest.delete(worker))
  workers.on(collect, async () => {
    const replies = await Promise.all(
      [...latest.keys()].map(async (worker) => ({ worker, late: await isLate(worker) })),
    )
    // Workers that have exited in the meantime are omitted.
    return replies.flatMap(({ worker, late }) => {
      const part = latest.get(worker)
      return part ? [{ part, late }] : []
    })
  })
}
