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
const look = topic<LimitScope, LimitState>('limit.look')

/** Usage of client keys, counted by the primary for all workers. Rejects if the primary cannot be reached. */
export function clusterLimits(primary: Channel): LimitStore {
  return {
    admit: (request) => primary.request(admit, request),
    reserve: (demand) => primary.request(reserve, demand),
    settle: async (settlement) => {
      primary.cast(settle, settlement)
    },
    look: (scope) => primary.request(look, scope),
    close: async () => undefined,
  }
}

/** The primary's side: one table for all workers. The requests of a worker end when it exits. `now`: monotonic milliseconds. */
export function serveLimits(workers: WorkerChannels, now: () => number): void {
  const table = new LimitTable(now)
  workers.on(admit, (request, { id }) => table.admit(id, request))
  workers.on(reserve, (demand, { id }) => table.reserve(id, demand))
  workers.on(settle, (settlement) => table.settle(settlement))
  workers.on(look, (scope) => table.look(scope))
  workers.onExit(({ id }) => table.settleAll(id))
}
