import { asRouterError, RouterError } from '../core/errors.ts'
import type { Ending, Lease } from '../core/lease.ts'
import type { StopSignal } from '../core/stop-signal.ts'
import type { Model, Target } from '../core/target.ts'
import type { CallTrace } from '../core/trace.ts'
import type { Exchange } from './exchange.ts'
import type { RetryBudget } from './retry-budget.ts'
import type { Failure } from './upstream-failure.ts'

export type Delivered<T> =
  | ({ type: 'delivered'; value: T; streamed?: boolean } & Pick<Ending, 'firstContentMs' | 'tokens'>)
  | ({ type: 'failed' } & Failure)

/** At once, where there is nothing to wait for. */
export type Acquired = Lease | undefined | Promise<Lease | undefined>

/** Picks and reserves a target that is not in `tried`; undefined when none is left. */
export type Acquire = (model: Model, tried: ReadonlySet<Target>, signal: StopSignal) => Acquired

export interface TargetLoop<T> {
  model: Model
  services: LoopServices
  /** Absent: the services' own. */
  acquire?: Acquire
  /**
   * One try at one target. A failure with `retry: 'next'` promises that nothing has reached the client. `lost`: aborted
   * when the target is another request's; until its first content the try is to be given up then. `trace`: hears of the try.
   */
  attempt(target: Target, lost?: AbortSignal, trace?: CallTrace): Promise<Delivered<T>>
}

/** What the loop needs of the house around it. */
export interface LoopServices {
  exchange: Exchange
  /** Ends these tries alone; absent: the exchange's own. */
  signal?: StopSignal
  acquire: Acquire
  /** A target failed and the next one is tried. */
  onFailover(target: Target, error: RouterError): void
  /** A target failed a request that another one answered. */
  blame(target: Target): void
  /** The models to try when all targets of this one fail, in order. */
  fallbacksOf(model: Model): readonly Model[]
  /** How many more tries at targets that fail a lot this model may make. */
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
  const first = await overModel(loop)
  if (first.type === 'delivered') return first.value
  let last = first
  const { exchange, signal = exchange.stop } = loop.services
  for (const model of loop.services.fallbacksOf(loop.model)) {
    if (last.isFinal || signal.aborted) break
    exchange.answeringModel = model.alias
    const next = await overModel({ ...loop, model })
    if (next.type === 'delivered') return next.value
    last = next
  }
  throw first.error
}

async function overModel<T>(loop: TargetLoop<T>): Promise<Run<T>> {
  const run = new ModelRun(loop)
  try {
    for (let attempts = 0; attempts < maxAttempts; attempts++) {
      const found = search(loop, run.tried)
      const lease = found instanceof Promise ? await found : found
      const attempt = lease && run.begin(lease)
      if (!attempt) break
      let delivered: Delivered<T> | undefined
      try {
        delivered = await loop.attempt(attempt.target, lease.lost, attempt.trace)
      } finally {
        attempt.end(delivered)
      }
      const result = run.judge(attempt.target, delivered)
      if (result === 'give up') break
      if (result !== 'go on') return result
    }
    return run.exhausted()
  } catch (error) {
    // No target could be had: all rest, or the queue is full or too slow. Another model may have one.
    if (error instanceof RouterError && (error.kind === 'overloaded' || error.kind === 'rate_limit')) {
      return { type: 'failed', error, isFinal: false }
    }
    throw error
  } finally {
    run.end()
  }
}

/** What the tries at the targets of one model have shown so far. */
class ModelRun<T> {
  readonly tried = new Set<Target>()
  readonly #loop: TargetLoop<T>
  readonly #endRequest: () => void
  /** Of all failures the one to tell. */
  #failure: RouterError | undefined
  #before: RouterError | undefined
  /** Broke on the request, which may be the request's fault. */
  #suspect: Target | undefined

  constructor(loop: TargetLoop<T>) {
    this.#loop = loop
    this.#endRequest = loop.services.budgetOf(loop.model).begin()
  }

  end(): void {
    this.#endRequest()
  }

  /** Undefined, with the lease given back: no more tries may be made. */
  begin(lease: Lease): Try<T> | undefined {
    const { services, model } = this.#loop
    this.tried.add(lease.target)
    const again = this.#failure && services.isDoubtful(lease.target)
    const endRetry = again ? services.budgetOf(model).retry() : noEnd
    if (endRetry) return new Try(services.exchange, lease, this.#before, endRetry)
    lease.settle({ result: 'cancelled', verdict: 'nothing' })
    return undefined
  }

  judge(target: Target, delivered: Delivered<T>): Run<T> | 'go on' | 'give up' {
    const { services } = this.#loop
    if (delivered.type === 'delivered') {
      if (this.#suspect) services.blame(this.#suspect)
      return delivered
    }
    const { error, retry } = delivered
    this.#before = error
    if (retry === 'anew') {
      this.tried.delete(target)
      this.#failure ??= error
      services.onFailover(target, error)
      return 'go on'
    }
    this.#failure = moreTelling(this.#failure, error)
    // What is too long for one model may fit another; nothing has reached the client yet.
    if (retry === 'none') return { type: 'failed', error, isFinal: error.kind !== 'context_overflow' }
    // Two targets that break on the same request: it is the request, and neither is to blame.
    if (retry === 'next-once' && this.#suspect) return 'give up'
    if (retry === 'next-once') this.#suspect = target
    services.onFailover(target, error)
    return 'go on'
  }

  exhausted(): Run<T> {
    const { model, services } = this.#loop
    if (this.#failure) services.exchange.calls.exhausted(model.alias, this.#failure)
    return { type: 'failed', error: this.#failure ?? noTarget(model.alias), isFinal: false }
  }
}

/** A first try, or one at a target that works, takes nothing from the budget. */
function noEnd(): void {}

function search<T>({ model, services, acquire }: TargetLoop<T>, tried: ReadonlySet<Target>): Acquired {
  const { exchange, signal = exchange.stop } = services
  const { calls } = exchange
  try {
    const acquired = (acquire ?? services.acquire)(model, tried, signal)
    if (acquired instanceof Promise) return calls.search(model.alias, acquired)
    calls.searched(model.alias, acquired !== undefined)
    return acquired
  } catch (error) {
    calls.searched(model.alias, false, 0, asRouterError(error))
    throw error
  }
}

/** One try at one target, which is given back at its end. */
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
  const { error, retry, verdict, pauseMs } = delivered
  // Neither a client that left nor a request that the target cannot carry says anything about the target.
  if (verdict === 'nothing' || error.kind === 'client_gone') return silent
  // Whether a 500 is the target's fault shows when another one has answered the same.
  return { result: 'failure', verdict: retry === 'next-once' ? 'nothing' : verdict, pauseMs, error }
}

/** Of several targets' failures the client hears the one it can act on: a rate limit before a broken box. */
function moreTelling(before: RouterError | undefined, now: RouterError): RouterError {
  if (before?.kind === 'rate_limit' && now.kind !== 'rate_limit') return before
  return now
}

function noTarget(alias: string): RouterError {
  return new RouterError('overloaded', `No upstream is available for the model '${alias}'`, {
    code: 'no_healthy_provider',
    retryAfterSeconds: 5,
  })
}
