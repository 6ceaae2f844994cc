import { type Channel, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import { LimitTable } from './memory.ts'
import type {
  LimitDecision,
  LimitDemand,
  LimitedRequest,
  LimitReservation,
  LimitScope,
  LimitSettlement,
  LimitState,
  LimitStore,
} from './store.ts'

const admit = topic<LimitedRequest, LimitDecision>('limit.admit')
const reserve = topic<LimitDemand, LimitReservation>('limit.reserve')
const settle = topic<LimitSettlement>('limit.settle')
const read = topic<LimitScope, LimitState>('limit.read')

/** The worker's side: the primary counts the usage of client keys for all workers. Rejects if the primary is unreachable. */
export function clusterLimits(primary: Channel): LimitStore {
  return {
    admit: (request) => primary.request(admit, request),
    reserve: (demand) => primary.request(reserve, demand),
    settle: async (settlement) => {
      primary.cast(settle, settlement)
    },
    read: (scope) => primary.request(read, scope),
    close: async () => undefined,
  }
}

/**
 * The primary's side: one table for all workers. When a worker exits, its requests are settled. `now`: monotonic milliseconds.
 */
export function serveLimits(workers: WorkerChannels, now: () => number): void {
  const table = new LimitTable(now)
  workers.on(admit, (request, { id }) => table.admit(id, request))
  workers.on(reserve, (demand, { id }) => table.reserve(id, demand))
  workers.on(settle, (settlement) => table.settle(settlement))
  workers.on(read, (scope) => table.read(scope))
  workers.onExit(({ id }) => table.settleAll(id))
}
