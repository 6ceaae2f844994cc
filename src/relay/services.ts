import type { Dialect } from '../sdk/dialect.ts'
import type { RouterError } from '../sdk/errors.ts'
import type { Priority } from '../sdk/strategy.ts'
import type { Model, Target } from '../sdk/target.ts'
import type { Transport, UpstreamHeaders } from '../sdk/transport.ts'
import type { AttemptWatch } from './attempt/attempt-bounds.ts'
import type { Loading } from './attempt/loading-wait.ts'
import type { Exchange } from './exchange.ts'
import type { DeclinedOperations } from './request/operation-targets.ts'
import type { Acquire, Turn } from './run/lease.ts'

/** What the relay needs of the router around it, for one request. */
export interface RelayServices {
  exchange: Exchange
  /** Ends these attempts alone; absent: the exchange's own. */
  signal?: AbortSignal
  clientHeaders: Record<string, string | string[] | undefined>
  /** The id of the client's key, or its address. */
  clientName(): string
  /** Of the client's key or request; absent: `normal`. */
  priority?: Priority
  /** Whether a canary is to answer; absent: the weights decide. */
  canary?: boolean
  /** Absent: that of a client of weight 1 without a deadline. */
  turn?: Turn
  userAgent: string
  dialectOf(name: string): Dialect

  acquire: Acquire
  /** The models to try when all targets of this one fail, in order. */
  fallbacksOf(model: Model): readonly Model[]
  budgetOf(model: Model): AttemptBudget
  /** Whether most recent attempts at a target failed. */
  failsOften(target: Target): boolean
  /** Whether the target's server refuses a new connection now. */
  refusesConnections(target: Target): Promise<boolean>
  /** Waits for a target of a model that has none; false: the request has waited long enough. Rejects with the reason of the signal. */
  hold(model: Model, request: object, signal: AbortSignal): Promise<boolean>
  /** A target failed and the next one is tried. */
  onFailover(target: Target, error: RouterError): void

  /** Logs what happens in request after request once. */
  noteOnce?(what: string): void

  transportOf(target: Target): Transport
  /** Bounds the wait for the first content and each silence after it, in milliseconds. */
  timeoutMs: number
  watch: AttemptWatch
  /** The wait for servers that load their models. */
  loading: Loading
  declined: DeclinedOperations
  /** An attempt begins; its share of the server's time in milliseconds comes at its end. Absent: nobody counts it. */
  busy?: ((exchange: Exchange, target: Target) => () => number) | undefined
  /** Whether whole answers of a target are requested as streams; see `collectsWholeAnswers` of its provider type. */
  collects(target: Target): boolean
  /** A whole answer of a target has come with these headers. */
  heard(target: Target, headers: UpstreamHeaders): void
}

/** Bounds further attempts of a model's requests at targets that mostly fail. */
export interface AttemptBudget {
  /** A request begins; call the result once when it is over. */
  begin(): () => void
  /** Whether one more attempt may be made; if so, call the result once when it is over. */
  retry(): (() => void) | undefined
}
