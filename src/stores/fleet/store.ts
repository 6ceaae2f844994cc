import type { Router } from '../../sdk/console/routers.ts'
import type { EngineSignals } from '../../sdk/engine-signals.ts'

/** What routers tell each other. `null`: nothing is known of the server now. */
export type FleetMessage =
  | { readonly type: 'signals'; readonly server: string; readonly signals: EngineSignals | null }
  | { readonly type: 'demand'; readonly models: ModelDemand }
  | { readonly type: 'router'; readonly about: Router }

/** What each model is asked for, by alias; models without demand are left out. */
export type ModelDemand = Readonly<Record<string, Demand>>

export interface Demand {
  /** Requests that targets work on. */
  readonly running: number
  /** Requests that wait for a target. */
  readonly waiting: number
  /** Requests of the last minute that were refused for want of a target. */
  readonly refused: number
}

/** The routers that share a Redis: one of them, the leader, polls the engines for all. */
export interface FleetBoard {
  /** `alone`: the other routers cannot be reached now. */
  readonly role: 'leader' | 'follower' | 'alone'
  publish(message: FleetMessage): void
  /** Calls back with each message of another router, which is known by its name. */
  onMessage(listener: (message: FleetMessage, router: string) => void): void
  /** Lets another router lead. */
  close(): Promise<void>
}
