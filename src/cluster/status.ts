import { type Channel, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'
import type { Status } from '../sdk/console/status.ts'

/** Status of a worker; outdated if it was too busy to respond. */
export interface StatusPart {
  part: Status
  late: boolean
}

/** From a worker: it can be asked from now on. */
const join = topic<Status>('status.join')
/** To each worker. */
const read = topic<void, Status>('status.read', { timeoutMs: 500 })
/** From a worker that wants the status of all; longer than the primary waits for the slowest of them. */
const collect = topic<void, StatusPart[]>('status.collect', { timeoutMs: 2_000 })

/**
 * A worker's side. `readOwn` returns its own status. Returns a function that queries all live workers, including this one; it
 * rejects when the primary does not answer.
 */
export function clusterStatus(primary: Channel, readOwn: () => Status): () => Promise<StatusPart[]> {
  primary.on(read, readOwn)
  primary.cast(join, readOwn())
  return () => primary.request(collect)
}

/** The primary's side: asks the living workers whenever one of them wants to know. */
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
    const asked = await Promise.all(
      [...latest.keys()].map(async (worker) => ({ worker, late: await isLate(worker) })),
    )
    // Workers that exited meanwhile are omitted.
    return asked.flatMap(({ worker, late }) => {
      const part = latest.get(worker)
      return part ? [{ part, late }] : []
    })
  })
}
