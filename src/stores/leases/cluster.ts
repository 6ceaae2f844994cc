import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import { StoreDownError } from '../store.ts'
import { LeaseTable } from './memory.ts'
import { type LeaseRequest, type LeaseStore, noLeaseCounts, type StoredLease } from './store.ts'

type LeaseName = Pick<StoredLease, 'model' | 'key'>

const acquire = topic<LeaseRequest, StoredLease | undefined>('lease.acquire')
const release = topic<LeaseName>('lease.release')
const freed = topic<string>('lease.freed', { isHint: true })

/** The worker's side: the primary holds leases for all workers of the host. */
export function clusterLeases(primary: Channel): LeaseStore {
  const listeners: ((model: string) => void)[] = []
  const held = new Map<string, StoredLease>()
  const end = async ({ model, key }: LeaseName): Promise<void> => {
    held.delete(key)
    primary.cast(release, { model, key })
  }
  primary.on(freed, (model) => {
    for (const listener of listeners) listener(model)
  })
  return {
    counts: noLeaseCounts(),
    async acquire(request) {
      try {
        const granted = await primary.request(acquire, request)
        if (granted) held.set(granted.key, granted)
        return granted
      } catch (error) {
        throw new StoreDownError(error)
      }
    },
    release: end,
    // A pending response may grant a lease; messages are ordered, so the release arrives after the grant.
    abandon: end,
    onFreed: (listener) => {
      listeners.push(listener)
    },
    async close() {
      for (const lease of [...held.values()]) await end(lease)
    },
  }
}

/** The primary's side: one table for all workers. Leases of a worker are released when it exits. */
export function serveLeases(workers: WorkerChannels): void {
  const table = new LeaseTable()
  const announceFreed = (model: string): void => workers.broadcast(freed, model)
  workers.on(acquire, (request, { id }) => table.acquire(id, request))
  workers.on(release, ({ model, key }, { id }) => {
    if (table.release(id, model, key)) announceFreed(model)
  })
  workers.onExit(({ id }) => table.releaseAll(id).forEach(announceFreed))
}
