import type { Router } from '../../sdk/console/routers.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'

/** Messages between routers. `null`: the state of the server is unknown. */
export type FleetMessage =
  | { readonly type: 'signals'; readonly server: string; readonly signals: EngineSignals | null }
  | { readonly type: 'demand'; readonly models: ModelDemand }
  | { readonly type: 'router'; readonly about: Router }

/** Demand by model alias; models without demand are omitted. */
export type ModelDemand = Readonly<Record<string, Demand>>

export interface Demand {
  /** Running requests. */
  readonly running: number
  /** Waiting requests. */
  readonly waiting: number
  /** Requests of the last minute that were rejected because no target was available. */
  readonly refused: number
}

/** The routers that share a Redis; the leader polls the engines for all of them. */
export interface FleetBus {
  /** `alone`: the other routers are unreachable. */
  readonly role: 'leader' | 'follower' | 'alone'
  publish(message: FleetMessage): void
  /** Calls `listener` with each message of another router and the id of that router. */
  onMessage(listener: (message: FleetMessage, router: string) => void): void
  /** Releases leadership. */
  close(): Promise<void>
}
