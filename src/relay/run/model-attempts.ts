import { isPermanent, RouterError } from '../../sdk/errors.ts'
import type { RoutingRequest } from '../../sdk/strategy.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { AttemptFailure, AttemptResult } from '../attempt/attempt-result.ts'
import { isLoadingFailure, type LoadingWait } from '../attempt/loading-wait.ts'
import type { AttemptContext } from '../attempt/prepared-attempt.ts'
import { possibleLack, type RequestTraits } from '../request/request-traits.ts'
import type { RelayServices } from '../services.ts'
import type { AttemptTrace } from '../trace.ts'
import { defaultTurn, type Judgement, type Lease, type PickContext } from './lease.ts'

/** No target of a model answered. `isFinal`: no fallback model may be tried either. */
export interface ModelFailure {
  type: 'failure'
  error: RouterError
  isFinal: boolean
  /** No target is usable: all are down, asleep or loading, or there is none. */
  isUnserved?: boolean
}

interface ModelAttemptsOptions {
  model: Model
  traits: RequestTraits
  request: RoutingRequest
  /** Only these targets can answer; absent: all targets of the model. */
  canServe: ((target: Target) => boolean) | undefined
  /** Another model answers if no target of this one does. */
  hasFallback: boolean
}

/** Limit of attempts per model, see `#countsTowardsLimit`. */
const maxAttempts = 3

/** Results of the attempts at one model's targets so far. */
export class ModelAttempts implements LoadingWait {
  readonly model: Model
  readonly hasFallback: boolean
  readonly #options: ModelAttemptsOptions
  readonly #services: RelayServices
  readonly #tried = new Set<string>()
  /** How many more attempts may fail. */
  remaining = maxAttempts
  /** Ids of the targets whose server was loading. */
  readonly #loading = new Set<string>()
  readonly #endRequest: () => void
  /** Failures that the request itself may have caused. */
  readonly #ambiguous: { lease: Lease; failure: AttemptFailure }[] = []
  /** For each attempt whose connection was closed without a response byte: whether its server refuses new connections. */
  readonly #refusals: Promise<boolean>[] = []
  /** The error that is most useful to the client. */
  #error: RouterError | undefined
  #previousError: RouterError | undefined
  /** Whether every failure so far was an unreachable server. */
  #isUnserved = true

  constructor(options: ModelAttemptsOptions, services: RelayServices) {
    this.model = options.model
    this.hasFallback = options.hasFallback
    this.#options = options
    this.#services = services
    this.#endRequest = services.budgetOf(options.model).begin()
  }

  end(): void {
    this.#endRequest()
  }

  /** All targets may be tried again: they may have changed meanwhile. */
  restart(): void {
    this.#tried.clear()
    this.#loading.clear()
    this.remaining = maxAttempts
  }

  pickContext(): PickContext {
    const { traits, request, canServe, hasFallback } = this.#options
    const { turn = defaultTurn } = this.#services
    return { tried: this.#tried, traits, request, turn, canServe, isLast: this.remaining === 1, hasFallback }
  }

  isAlternative(target: Target): boolean {
    return !this.#tried.has(target.id) && (this.#options.canServe?.(target) ?? true)
  }

  /** Undefined if no more attempts are allowed; the lease is then released. */
  begin(lease: Lease): LeasedAttempt | undefined {
    const services = this.#services
    this.#tried.add(lease.target.id)
    const takesBudget = this.#error && services.isUnreliable(lease.target)
    const endRetry = takesBudget ? services.budgetOf(this.model).retry() : noEnd
    if (!endRetry) {
      lease.settle(undefined)
      return undefined
    }
    const onContent = (): void => {
      lease.contentSeen()
      this.judge('target')
    }
    return new LeasedAttempt(services, lease, { after: this.#previousError, endRetry, onContent })
  }

  /** Records a failure. Returns undefined if the next target may be tried. */
  recordFailure(lease: Lease, failure: AttemptFailure): ModelFailure | undefined {
    const services = this.#services
    const { target } = lease
    const { retry, verdict } = failure
    if (!isRefused(failure) && !isLoadingFailure(failure)) this.#isUnserved = false
    if (verdict === 'ambiguous') this.#ambiguous.push({ lease, failure })
    if (failure.closedSilently) this.#refusals.push(services.refusesConnections(target))
    const error = lease.hasAnswered ? accessDenied(failure) : failure.error
    this.#previousError = error
    if (retry === 'any') {
      this.#tried.delete(target.id)
      this.#error ??= error
    } else {
      this.#error = moreUseful(this.#error, error)
    }
    // A request that is too long for one model may fit another; nothing has reached the client yet.
    if (retry === 'none') return { type: 'failure', error, isFinal: error.kind !== 'context_overflow' }
    if (this.#countsTowardsLimit(target, failure)) this.remaining--
    if (isLoadingFailure(failure)) this.#loading.add(target.id)
    services.onFailover(target, error)
    return undefined
  }

  /** A refused connection costs no time, and the server has not seen the request. A loading server is tried once more. */
  #countsTowardsLimit({ id }: Target, failure: AttemptFailure): boolean {
    return isLoadingFailure(failure) ? this.#loading.has(id) : !isRefused(failure)
  }

  /** The request is over for these targets: reports to each whether it is to blame for its failure. */
  judge(answeredBy: Judgement['answeredBy']): void {
    if (this.#ambiguous.length === 0) return
    const { traits } = this.#options
    const { features } = traits
    const fingerprint = traits.fingerprint()
    const mayLack = possibleLack(features)
    for (const { lease, failure } of this.#ambiguous) {
      const { kind = 'failure', refusalStatus } = failure
      lease.judge({ answeredBy, kind, refusalStatus, features, fingerprint, mayLack })
    }
    // After `nobody` a fallback model may still answer.
    if (answeredBy !== 'nobody') this.#ambiguous.length = 0
  }

  /**
   * Two servers closed the connection without a response byte and refuse new connections: the request may have crashed
   * them and must not reach a third.
   */
  async mayKillServers(): Promise<boolean> {
    if (this.#refusals.length < 2) return false
    const refused = await Promise.all(this.#refusals)
    if (refused.filter(Boolean).length < 2) return false
    const words =
      'Two upstreams closed the connection and stopped accepting new ones; the request is not sent to another one'
    this.#error = new RouterError('upstream_error', words, {
      code: 'upstream_error',
      causeCode: 'SERVERS_GONE',
      shouldRetry: false,
    })
    return true
  }

  exhausted(): ModelFailure {
    const { alias } = this.model
    if (this.#error) this.#services.exchange.steps.exhausted(alias, this.#error)
    const isFinal = this.#error?.causeCode === 'SERVERS_GONE'
    const isUnserved = this.#isUnserved && !isFinal
    return { type: 'failure', error: this.#error ?? noTargetError(alias), isFinal, isUnserved }
  }
}

/** First attempts, and attempts at healthy targets, are not charged to the budget. */
function noEnd(): void {}

/** Runs one attempt with its lease, and releases the target at its end. */
class LeasedAttempt implements AttemptContext {
  readonly services: RelayServices
  readonly target: Target
  readonly revoked: AbortSignal | undefined
  readonly trace: AttemptTrace | undefined
  readonly onContent: () => void
  readonly #lease: Lease
  readonly #after: RouterError | undefined
  readonly #endRetry: () => void
  readonly #startedAt: number
  readonly #endWork: (() => void) | undefined

  constructor(
    services: RelayServices,
    lease: Lease,
    { after, endRetry, onContent }: { after: RouterError | undefined; endRetry(): void; onContent(): void },
  ) {
    const { exchange } = services
    const { target } = lease
    this.services = services
    this.target = target
    this.revoked = lease.revoked
    this.onContent = onContent
    this.#lease = lease
    this.#after = after
    this.#endRetry = endRetry
    this.#startedAt = exchange.steps.now()
    if (services.busy) this.#endWork = exchange.beginWork(target, services.busy(exchange, target))
    exchange.steps.attemptBegan(target)
    exchange.beginAttempt(target, { reason: lease.reason, after })
    this.trace = exchange.trace?.beginAttempt(target, { after, reasons: exchange.reasons })
  }

  /** Undefined if an invalid request or a bug was thrown, neither of which concerns the target. */
  end(result: AttemptResult | undefined): void {
    this.#endRetry()
    this.#lease.settle(result)
    const { steps } = this.services.exchange
    const durationMs = steps.now() - this.#startedAt
    this.#endWork?.()
    steps.attemptEnded({ target: this.target, result, durationMs, after: this.#after })
    this.trace?.end(result)
  }
}

/** Whether the connection failed immediately: waiting for one costs the client as much as an attempt. */
function isRefused({ closedSilently, verdict, error }: AttemptFailure): boolean {
  return !closedSilently && verdict === 'connect' && error.kind !== 'upstream_timeout'
}

/** A server that has accepted the router's key before rejects this request, for example a firewall in front of it. */
function accessDenied({ error, refusalStatus }: AttemptFailure): RouterError {
  if (refusalStatus !== 403) return error
  return new RouterError('forbidden', 'The upstream denied this request', {
    code: 'upstream_forbidden',
    causeCode: 'HTTP_403',
    cause: error.cause,
    shouldRetry: false,
  })
}

/**
 * Of several errors the client gets the one it can act on: a rate limit rather than a server failure, of two rate limits the
 * one that ends first, and a rejected key or an account without credit, which no retry can fix, only if all targets failed so.
 */
function moreUseful(before: RouterError | undefined, now: RouterError): RouterError {
  if (before && isPermanent(before) !== isPermanent(now)) return isPermanent(now) ? before : now
  if (before?.kind === 'rate_limit') {
    if (now.kind !== 'rate_limit') return before
    const [first = Number.NaN, second = Number.NaN] = [before.retryAfterSeconds, now.retryAfterSeconds]
    return first < second ? before : now
  }
  return now
}

export function noTargetError(alias: string): RouterError {
  return new RouterError('overloaded', `No upstream is available for the model '${alias}'`, {
    code: 'no_healthy_provider',
    retryAfterSeconds: 5,
  })
}
