import { type LeaseStore, noLeaseCounts } from '../../sdk/lease-store.ts'
import { LeaseTable } from './table.ts'

const self = 'self'

/** Leases of a router that is one process. `now`: monotonic milliseconds. */
export function memoryLeases(now: () => number): LeaseStore {
  const table = new LeaseTable(now)
  const listeners: ((model: string) => void)[] = []
  const tell = (model: string): void => {
    for (const listener of listeners) listener(model)
  }
  return {
    counts: noLeaseCounts(),
    pollMs: undefined,
    acquire: async (wish) => table.acquire(self, wish),
    async release({ model, key }) {
      if (table.release(self, model, key)) tell(model)
    },
    async abandon({ model, key }) {
      table.abandon(self, model, key)
      tell(model)
    },
    onFreed: (listener) => {
      listeners.push(listener)
    },
    async close() {
      for (const model of table.releaseOwner(self)) tell(model)
    },
  }
}
