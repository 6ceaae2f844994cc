import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import { LimitTable } from './memory.ts'
import type { LimitDemand, LimitEnd, LimitReservation, LimitStore, LimitVerdict, LimitWish } from './store.ts'

const admit = topic<LimitWish, LimitVerdict>('limit.admit')
const reserve = topic<LimitDemand, LimitReservation>('limit.reserve')
const leave = topic<LimitEnd>('limit.leave')

/** What client keys use, counted by the primary for all workers. Rejects when the primary cannot be reached. */
export function clusterLimits(primary: Channel): LimitStore {
  return {
    admit: (wish) => primary.request(admit, wish),
    reserve: (demand) => primary.request(reserve, demand),
    leave: async (end) => {
      primary.cast(leave, end)
    },
    close: async () => undefined,
  }
}

/** The primary's side: one table for all workers. The requests of a worker end when it exits. `now`: monotonic milliseconds. */
export function serveLimits(workers: WorkerChannels, now: () => number): void {
  const table = new LimitTable(now)
  workers.on(admit, (wish, { id }) => table.admit(id, wish))
  workers.on(reserve, (demand, { id }) => table.reserve(id, demand))
  workers.on(leave, (end) => table.leave(end))
  workers.onExit(({ id }) => table.leaveAll(id))
}
