import type { StopSignal } from '../../lib/stop-signal.ts'
import { asRouterError, RouterError } from '../../sdk/errors.ts'
import type { Ending, Judgement, Lease } from '../../sdk/lease.ts'
import { namedBy, type RequestTraits } from '../../sdk/request-traits.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { CallTrace } from '../../sdk/trace.ts'
import { isStillLoading, type Loading, onceLoaded } from '../attempt/loading-wait.ts'
import type { Failure } from '../attempt/upstream-failure.ts'
import type { Exchange } from '../exchange.ts'
import type { RetryBudget } from './retry-budget.ts'

export type Delivered<T> =
  | ({ type: 'delivered'; value: T; streamed?: boolean } & Pick<Ending, 'firstContentMs' | 'tokens'>)
  | ({ type: 'failed' } & Failure)

/** At once, where there is nothing to wait for. */
export type Acquired = Lease | undefined | Promise<Lease | undefined>

/** What an attempt needs of a target. */
export interface TargetWish {
  /** Ids of the targets that failed this request: a reload may describe a target anew, its id stays. */
  readonly tried: ReadonlySet<string>
  readonly traits: RequestTraits
  /** Only these can answer; absent: all of the model. */
  readonly can?: ((target: Target) => boolean) | undefined
  /** No further attempt follows this one. */
  readonly isLast: boolean
  /** Another model answers if no target of this one does. */
  readonly hasFallback: boolean
}

/** Picks and reserves a target; undefined when none is left. */
export type Acquire = (model: Model, wish: TargetWish, signal: StopSignal) => Acquired

export interface TargetLoop<T> {
  model: Model
  services: LoopServices
  traits: RequestTraits
  /** Only these targets can answer; absent: all of the model. */
  can?: (target: Target) => boolean
  /**
   * One attempt at one target. A failure with `retry: 'next'` promises that nothing has reached the client. `lost`: aborted
   * when the target is another request's; until its first content the attempt is to be given up then. `trace`: hears of it.
   * `onContent`: to be called at the first content of a stream.
   */
  attempt(
    target: Target,
    revoked?: AbortSignal,
    trace?: CallTrace,
    onContent?: () => void,
  ): Promise<Delivered<T>>
}

/** What the loop needs of the services around it. */
export interface LoopServices {
  exchange: Exchange
  /** Ends these attempts alone; absent: the exchange's own. */
  signal?: StopSignal
  acquire: Acquire
  /** The wait for servers that load their models. */
  loading: Loading
  /** A target failed and the next one is tried. */
  onFailover(target: Target, error: RouterError): void
  /** Whether the target's server refuses a new connection now. */
  refusesConnections(target: Target): Promise<boolean>
  /** The models to try when all targets of this one fail, in order. */
  fallbacksOf(model: Model): readonly Model[]
  /** How many more attempts at targets that fail a lot this model may make. */
  budgetOf(model: Model): RetryBudget
  /** Whether most of what a target was sent lately failed. */
  isDoubtful(target: Target): boolean
}

const maxAttempts = 3

type Run<T> = { type: 'delivered'; value: T } | { type: 'failed'; error: RouterError; isFinal: boolean }

/**
 * Target after target of the model until one delivers, then of its fallback models. Throws the error that tells the client
 * most: that of the model it asked for.
 */
export async function overTargets<T>(loop: TargetLoop<T>): Promise<T> {
  const { exchange, signal = exchange.stop } = loop.services
  const fallbacks = loop.services.fallbacksOf(loop.model)
  const runs: ModelRun<T>[] = []
  let first: RouterError | undefined
  for (const [index, model] of [loop.model, ...fallbacks].entries()) {
    if (index > 0) exchange.answeringModel = model.alias
    const run = new ModelRun({ ...loop, model }, index < fallbacks.length)
    const result = await overModel(run)
    if (result.type === 'delivered') {
      for (const before of runs) before.judge('fallback')
      return result.value
    }
    run.judge('nobody')
    runs.push(run)
    first ??= result.error
    if (result.isFinal || signal.aborted) break
  }
  throw first ?? noTarget(loop.model.alias)
}

async function overModel<T>(run: ModelRun<T>): Promise<Run<T>> {
  const { loop } = run
  try {
    for (let attempts = 0; attempts < maxAttempts; ) {
      const found = search(loop, run.wish(attempts === maxAttempts - 1))
      const lease = found instanceof Promise ? await found : found
      const attempt = lease && run.begin(lease)
      if (!attempt) break
      let delivered: Delivered<T> | undefined
      try {
        delivered = await run.attempt(attempt, lease)
      } finally {
        attempt.end(delivered)
      }
      const result = run.result(lease, delivered)
      if (result !== 'go on') return result
      if (run.counts(attempt, delivered)) attempts++
      if (await run.mayKillServers()) break
    }
    return run.exhausted()
  } catch (error) {
    // No target could be had: all are out, or the queue is full or too slow. Another model may have one.
    if (error instanceof RouterError && (error.kind === 'overloaded' || error.kind === 'rate_limit')) {
      return { type: 'failed', error, isFinal: false }
    }
    run.judge('unknown')
    throw error
  } finally {
    run.end()
  }
}

/** Whether no connection came about, at once: a wait for one costs the client as much as an attempt. */
function isRefused(delivered: Delivered<unknown>): boolean {
  if (delivered.type === 'delivered' || delivered.closedSilently) return false
  return delivered.verdict === 'connect' && delivered.error.kind !== 'upstream_timeout'
}

/** What the attempts at the targets of one model have shown so far. */
class ModelRun<T> {
  readonly loop: TargetLoop<T>
  readonly #hasFallback: boolean
  readonly #tried = new Set<string>()
  /** Ids of the targets that were left because they load. */
  readonly #loading = new Set<string>()
  readonly #endRequest: () => void
  /** Failures that the request may have caused. */
  readonly #undecided: { lease: Lease; failure: Failure }[] = []
  /** For each attempt that ended in a closed connection without a byte: whether its server refuses the next one. */
  readonly #refusals: Promise<boolean>[] = []
  /** Of all failures the one to tell. */
  #failure: RouterError | undefined
  #before: RouterError | undefined

  constructor(loop: TargetLoop<T>, hasFallback: boolean) {
    this.loop = loop
    this.#hasFallback = hasFallback
    this.#endRequest = loop.services.budgetOf(loop.model).begin()
  }

  end(): void {
    this.#endRequest()
  }

  wish(isLast: boolean): TargetWish {
    const { traits, can } = this.loop
    return { tried: this.#tried, traits, can, isLast, hasFallback: this.#hasFallback }
  }

  /** Undefined, with the lease given back: no more attempts may be made. */
  begin(lease: Lease): Try<T> | undefined {
    const { services, model } = this.loop
    this.#tried.add(lease.target.id)
    const again = this.#failure && services.isDoubtful(lease.target)
    const endRetry = again ? services.budgetOf(model).retry() : noEnd
    if (endRetry) return new Try(services.exchange, lease, this.#before, endRetry)
    lease.settle({ result: 'cancelled', verdict: 'nothing' })
    return undefined
  }

  /**
   * Whether it is one of the three. A server that refuses the connection has seen nothing of the request and costs no time,
   * and neither does one that says that it loads, the first time.
   */
  counts({ target }: Try<T>, delivered: Delivered<T>): boolean {
    if (!isStillLoading(delivered)) return !isRefused(delivered)
    const isKnown = this.#loading.has(target.id)
    this.#loading.add(target.id)
    return isKnown
  }

  /** One attempt; where the server says that it loads, as many as it takes. */
  attempt({ target, trace }: Try<T>, lease: Lease): Promise<Delivered<T>> {
    const { loop } = this
    const { loading, exchange, signal: stop = exchange.stop } = loop.services
    const onContent = (): void => {
      lease.answering()
      this.judge('target')
    }
    const isElse = (other: Target): boolean => !this.#tried.has(other.id) && (loop.can?.(other) ?? true)
    const waiting = { loading, exchange, stop, isElse, hasFallback: this.#hasFallback }
    return onceLoaded(waiting, target, () => loop.attempt(target, lease.revoked, trace, onContent))
  }

  result(lease: Lease, delivered: Delivered<T>): Run<T> | 'go on' {
    const { services } = this.loop
    const { target } = lease
    if (delivered.type === 'delivered') {
      this.judge('target')
      return delivered
    }
    const { retry, verdict } = delivered
    if (verdict === 'undecided') this.#undecided.push({ lease, failure: delivered })
    if (delivered.closedSilently) this.#refusals.push(services.refusesConnections(target))
    const error = lease.hasAnswered ? accessDenied(delivered) : delivered.error
    this.#before = error
    if (retry === 'anew') {
      this.#tried.delete(target.id)
      this.#failure ??= error
      services.onFailover(target, error)
      return 'go on'
    }
    this.#failure = moreTelling(this.#failure, error)
    // What is too long for one model may fit another; nothing has reached the client yet.
    if (retry === 'none') return { type: 'failed', error, isFinal: error.kind !== 'context_overflow' }
    services.onFailover(target, error)
    return 'go on'
  }

  /** The request is over for these targets: tells each whether its failure was its own. */
  judge(answeredBy: Judgement['answeredBy']): void {
    if (this.#undecided.length === 0) return
    const { features } = this.loop.traits
    const fingerprint = this.loop.traits.fingerprint()
    const names = namedBy(features)
    for (const { lease, failure } of this.#undecided) {
      const { kind = 'failure', refusal } = failure
      lease.judge({ answeredBy, kind, refusal, features, fingerprint, names })
    }
    // Only a fallback model is asked afterwards.
    if (answeredBy !== 'nobody') this.#undecided.length = 0
  }

  /**
   * Two servers closed the connection without a byte of an answer and refuse the next one: the request may have killed
   * them, and must not reach a third.
   */
  async mayKillServers(): Promise<boolean> {
    if (this.#refusals.length < 2) return false
    const refused = await Promise.all(this.#refusals)
    if (refused.filter(Boolean).length < 2) return false
    const words = 'The upstreams closed the connection and went away; the request is not sent to another one'
    this.#failure = new RouterError('upstream_error', words, {
      code: 'upstream_error',
      causeCode: 'SERVERS_GONE',
      shouldRetry: false,
    })
    return true
  }

  exhausted(): Run<T> {
    const { model, services } = this.loop
    if (this.#failure) services.exchange.calls.exhausted(model.alias, this.#failure)
    const isFinal = this.#failure?.causeCode === 'SERVERS_GONE'
    return { type: 'failed', error: this.#failure ?? noTarget(model.alias), isFinal }
  }
}

/** A server that has answered with our key denies this request, not the router: a firewall in front of it, say. */
function accessDenied({ error, refusal }: Failure): RouterError {
  if (refusal !== 403) return error
  return new RouterError('forbidden', 'The upstream denied this request', {
    code: 'upstream_forbidden',
    causeCode: 'HTTP_403',
    cause: error.cause,
    shouldRetry: false,
  })
}

/** A first try, or one at a target that works, takes nothing from the budget. */
function noEnd(): void {}

function search<T>({ model, services }: TargetLoop<T>, wish: TargetWish): Acquired {
  const { exchange, signal = exchange.stop } = services
  const { calls } = exchange
  try {
    const acquired = services.acquire(model, wish, signal)
    if (acquired instanceof Promise) return calls.search(model.alias, acquired)
    calls.searched(model.alias, acquired !== undefined)
    return acquired
  } catch (error) {
    calls.searched(model.alias, false, 0, asRouterError(error))
    throw error
  }
}

/** One attempt at one target, which is given back at its end. */
class Try<T> {
  readonly target: Target
  readonly trace: CallTrace | undefined
  readonly #exchange: Exchange
  readonly #lease: Lease
  readonly #after: RouterError | undefined
  readonly #endRetry: () => void
  readonly #startedAt: number

  constructor(exchange: Exchange, lease: Lease, after: RouterError | undefined, endRetry: () => void) {
    const { target } = lease
    this.target = target
    this.#exchange = exchange
    this.#lease = lease
    this.#after = after
    this.#endRetry = endRetry
    this.#startedAt = exchange.calls.now()
    this.trace = exchange.trace?.beginCall(target, after)
    exchange.beginAttempt(target)
  }

  /** Undefined: what was thrown is a bad request or a bug of ours, and neither says anything about the target. */
  end(delivered: Delivered<T> | undefined): void {
    this.#endRetry()
    const ending = delivered ? endingOf(delivered) : silent
    this.#lease.settle(ending)
    const { result, firstContentMs, tokens } = ending
    const error = delivered?.type === 'failed' ? delivered.error : undefined
    const streamed = delivered?.type === 'delivered' && delivered.streamed === true
    const { calls } = this.#exchange
    const { id, model, type } = this.target
    calls.ended({
      model,
      target: id,
      providerType: type.name,
      dialect: type.dialect,
      result,
      durationMs: calls.now() - this.#startedAt,
      firstContentMs,
      tokens,
      streamed,
      error,
      after: this.#after,
    })
    this.trace?.end({ result, error })
  }
}

const silent: Ending = { result: 'cancelled', verdict: 'nothing' }

function endingOf(delivered: Delivered<unknown>): Ending {
  if (delivered.type === 'delivered') {
    // A whole answer comes at once, however long each of its tokens took: it tells nothing of the pace.
    const { firstContentMs, tokens, streamed } = delivered
    return { result: 'success', verdict: 'success', firstContentMs, tokens: streamed ? tokens : undefined }
  }
  const { error, verdict, pauseMs } = delivered
  // Neither a client that left nor a request that the target cannot carry says anything about the target.
  if (verdict === 'nothing' || error.kind === 'client_gone') return silent
  return { result: 'failure', verdict, pauseMs, error }
}

/**
 * Of several targets' failures the client hears the one it can act on: a rate limit before a broken server, of two rate
 * limits the one that ends first, and a rejected key of ours, which no retry can change, only where all targets rejected it.
 */
function moreTelling(before: RouterError | undefined, now: RouterError): RouterError {
  if (before?.kind === 'rate_limit') {
    if (now.kind !== 'rate_limit') return before
    const [first = Number.NaN, second = Number.NaN] = [before.retryAfterSeconds, now.retryAfterSeconds]
    return first < second ? before : now
  }
  if (before && before.code !== 'upstream_auth' && now.code === 'upstream_auth') return before
  return now
}

function noTarget(alias: string): RouterError {
  return new RouterError('overloaded', `No upstream is available for the model '${alias}'`, {
    code: 'no_healthy_provider',
    retryAfterSeconds: 5,
  })
}
