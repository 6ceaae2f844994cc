import type { Dialect } from '../sdk/dialect.ts'
import type { RouterError } from '../sdk/errors.ts'
import type { Priority } from '../sdk/strategy.ts'
import type { Model, Target } from '../sdk/target.ts'
import type { Transport, UpstreamHeaders } from '../sdk/transport.ts'
import type { AttemptWatch } from './attempt/attempt-watch.ts'
import type { Loading } from './attempt/loading-wait.ts'
import type { Exchange } from './exchange.ts'
import type { DeclinedOperations } from './request/operation-targets.ts'
import type { Acquire, Turn } from './run/lease.ts'

/** What the relay needs from the router, for one request. */
export interface RelayServices {
  exchange: Exchange
  /** Cancels these attempts only; absent: the signal of the exchange. */
  signal?: AbortSignal
  clientHeaders: Record<string, string | string[] | undefined>
  /** Id of the client's key, or the client's address. */
  clientName(): string
  /** From the client's key or request; absent: `normal`. */
  priority?: Priority
  /** Whether a canary must answer; absent: the weights decide. */
  canary?: boolean
  /** Absent: a client of weight 1 without a deadline. */
  turn?: Turn
  userAgent: string
  dialectOf(name: string): Dialect

  acquire: Acquire
  /** Models to try, in order, if all targets of this one fail. */
  fallbacksOf(model: Model): readonly Model[]
  budgetOf(model: Model): AttemptBudget
  /** Whether most recent attempts at a target failed. */
  isUnreliable(target: Target): boolean
  /** Whether the target's server refuses a new connection now. */
  refusesConnections(target: Target): Promise<boolean>
  /** Waits for a usable target; false when the wait is over. Rejects with the reason of the signal. */
  hold(model: Model, request: object, signal: AbortSignal): Promise<boolean>
  /** A target failed and the next one is tried. */
  onFailover(target: Target, error: RouterError): void

  /** Logs a message once that would otherwise repeat with every request. */
  logOnce?(message: string): void

  transportOf(target: Target): Transport
  /** Timeout for the first content and for each pause after it, in milliseconds. */
  timeoutMs: number
  watch: AttemptWatch
  /** The wait for servers that load their models. */
  loading: Loading
  declined: DeclinedOperations
  /** Starts an attempt; its end returns its share of the server's time in milliseconds. Absent: not counted. */
  busy?: ((exchange: Exchange, target: Target) => () => number) | undefined
  /** Whether whole answers of a target are requested as streams; see `collectsWholeAnswers` of its provider type. */
  collectsWholeAnswers(target: Target): boolean
  /** A target has sent a whole response with these headers. */
  onWholeAnswer(target: Target, headers: UpstreamHeaders): void
}

/** Limits retries of a model's requests at targets that mostly fail. */
export interface AttemptBudget {
  /** A request begins; call the result once, at its end. */
  begin(): () => void
  /** Whether another attempt is allowed; if so, call the result once, at its end. */
  retry(): (() => void) | undefined
}
