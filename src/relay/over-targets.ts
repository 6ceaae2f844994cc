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

export interface TargetLoop<T> {
  model: Model
  exchange: Exchange
  /** Ends these tries alone; absent: the exchange's own. */
  signal?: StopSignal
  /** Picks and reserves a target that is not in `tried`; undefined when none is left. */
  acquire(model: Model, tried: ReadonlySet<Target>, signal: StopSignal): Acquired
  /**
   * One try at one target. A failure with `retry: 'next'` promises that nothing has reached the client. `lost`: aborted
   * when the target is another request's; until its first content the try is to be given up then. `trace`: hears of the try.
   */
  attempt(target: Target, lost?: AbortSignal, trace?: CallTrace): Promise<Delivered<T>>
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
  for (const model of loop.fallbacksOf(loop.model)) {
    if (last.isFinal || (loop.signal ?? loop.exchange.stop).aborted) break
    loop.exchange.answeringModel = model.alias
    const next = await overModel({ ...loop, model })
    if (next.type === 'delivered') return next.value
    last = next
  }
  throw first.error
}

async function overModel<T>(loop: TargetLoop<T>): Promise<Run<T>> {
  const endRequest = loop.budgetOf(loop.model).begin()
  try {
    return await overEach(loop)
  } catch (error) {
    // No target could be had: all rest, or the queue is full or too slow. Another model may have one.
    if (error instanceof RouterError && (error.kind === 'overloaded' || error.kind === 'rate_limit')) {
      return { type: 'failed', error, isFinal: false }
    }
    throw error
  } finally {
    endRequest()
  }
}

async function overEach<T>(loop: TargetLoop<T>): Promise<Run<T>> {
  const { model, exchange } = loop
  const tried = new Set<Target>()
  let failure: RouterError | undefined
  let before: RouterError | undefined
  let suspect: Target | undefined
  for (let attempts = 0; attempts < maxAttempts; attempts++) {
    const found = search(loop, tried)
    const lease = found instanceof Promise ? await found : found
    if (!lease) break
    tried.add(lease.target)
    const endRetry = failure && loop.isDoubtful(lease.target) ? loop.budgetOf(model).retry() : noEnd
    if (!endRetry) {
      lease.settle({ result: 'cancelled', verdict: 'nothing' })
      break
    }
    const delivered = await tryOne(loop, lease, before, endRetry)
    if (delivered.type === 'delivered') {
      if (suspect) loop.blame(suspect)
      return delivered
    }
    const { error, retry } = delivered
    before = error
    if (retry === 'anew') {
      tried.delete(lease.target)
      failure ??= error
      loop.onFailover(lease.target, error)
      continue
    }
    failure = moreTelling(failure, error)
    // What is too long for one model may fit another; nothing has reached the client yet.
    if (retry === 'none') return { type: 'failed', error, isFinal: error.kind !== 'context_overflow' }
    // Two targets that break on the same request: it is the request, and neither is to blame.
    if (retry === 'next-once' && suspect) break
    if (retry === 'next-once') suspect = lease.target
    loop.onFailover(lease.target, error)
  }
  if (failure) exchange.calls.exhausted(model.alias, failure)
  return { type: 'failed', error: failure ?? noTarget(model.alias), isFinal: false }
}

/** A first try, or one at a target that works, takes nothing from the budget. */
function noEnd(): void {}

function search<T>(
  { model, exchange, signal, acquire }: TargetLoop<T>,
  tried: ReadonlySet<Target>,
): Acquired {
  const { calls } = exchange
  try {
    const acquired = acquire(model, tried, signal ?? exchange.stop)
    if (acquired instanceof Promise) return calls.search(model.alias, acquired)
    calls.searched(model.alias, acquired !== undefined)
    return acquired
  } catch (error) {
    calls.searched(model.alias, false, 0, asRouterError(error))
    throw error
  }
}

async function tryOne<T>(
  { exchange, attempt }: TargetLoop<T>,
  lease: Lease,
  before: RouterError | undefined,
  endRetry: () => void,
): Promise<Delivered<T>> {
  // What is thrown is a bad request or a bug of ours: neither says anything about the target.
  let ending: Ending = { result: 'cancelled', verdict: 'nothing' }
  let delivered: Delivered<T> | undefined
  const endCall = exchange.calls.begin(lease.target, before)
  const trace = exchange.trace?.beginCall(lease.target, before)
  try {
    exchange.beginAttempt(lease.target)
    delivered = await attempt(lease.target, lease.lost, trace)
    ending = endingOf(delivered)
    return delivered
  } finally {
    endRetry()
    lease.settle(ending)
    const { result, firstContentMs, tokens } = ending
    const error = delivered?.type === 'failed' ? delivered.error : undefined
    const streamed = delivered?.type === 'delivered' && delivered.streamed === true
    endCall({ result, firstContentMs, tokens, error, streamed })
    trace?.end({ result, error })
  }
}

function endingOf(delivered: Delivered<unknown>): Ending {
  if (delivered.type === 'delivered') {
    // A whole answer comes at once, however long each of its tokens took: it tells nothing of the pace.
    const { firstContentMs, tokens, streamed } = delivered
    return { result: 'success', verdict: 'success', firstContentMs, tokens: streamed ? tokens : undefined }
  }
  const { error, retry, verdict, pauseMs } = delivered
  // Neither a client that left nor a request that the target cannot carry says anything about the target.
  const silent = verdict === 'nothing' || error.kind === 'client_gone'
  if (silent) return { result: 'cancelled', verdict: 'nothing' }
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
