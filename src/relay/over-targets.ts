import { RouterError } from '../core/errors.ts'
import type { Ending, Lease } from '../core/lease.ts'
import type { Model, Target } from '../core/target.ts'
import type { Exchange } from './exchange.ts'
import type { RetryBudget } from './retry-budget.ts'
import type { Failure } from './upstream-failure.ts'

export type Delivered<T> =
  | ({ type: 'delivered'; value: T; streamed?: boolean } & Pick<Ending, 'firstContentMs' | 'tokens'>)
  | ({ type: 'failed' } & Failure)

export interface TargetLoop<T> {
  model: Model
  exchange: Exchange
  /** Ends these tries alone; absent: the exchange's own. */
  signal?: AbortSignal
  /** Picks and reserves a target that is not in `tried`; undefined when none is left. */
  acquire(model: Model, tried: ReadonlySet<Target>, signal: AbortSignal): Promise<Lease | undefined>
  /** One try at one target. A failure with `retry: 'next'` promises that nothing has reached the client. */
  attempt(target: Target): Promise<Delivered<T>>
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
    if (last.isFinal || (loop.signal ?? loop.exchange.signal).aborted) break
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
  while (tried.size < maxAttempts) {
    const acquired = loop.acquire(model, tried, loop.signal ?? exchange.signal)
    const lease = await exchange.calls.search(model.alias, acquired)
    if (!lease) break
    tried.add(lease.target)
    const endRetry = failure && loop.isDoubtful(lease.target) ? loop.budgetOf(model).retry() : noEnd
    if (!endRetry) {
      lease.settle({ result: 'cancelled', verdict: 'nothing' })
      break
    }
    const delivered = await tryOne(loop, lease, before).finally(endRetry)
    if (delivered.type === 'delivered') {
      if (suspect) loop.blame(suspect)
      return delivered
    }
    const { error, retry } = delivered
    before = error
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

async function tryOne<T>(
  { exchange, attempt }: TargetLoop<T>,
  lease: Lease,
  before: RouterError | undefined,
): Promise<Delivered<T>> {
  // What is thrown is a bad request or a bug of ours: neither says anything about the target.
  let ending: Ending = { result: 'cancelled', verdict: 'nothing' }
  let delivered: Delivered<T> | undefined
  const endCall = exchange.calls.begin(lease.target, before)
  try {
    exchange.beginAttempt(lease.target)
    delivered = await attempt(lease.target)
    ending = endingOf(delivered)
    return delivered
  } finally {
    lease.settle(ending)
    const { result, firstContentMs, tokens } = ending
    const error = delivered?.type === 'failed' ? delivered.error : undefined
    const streamed = delivered?.type === 'delivered' && delivered.streamed === true
    endCall({ result, firstContentMs, tokens, error, streamed })
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
