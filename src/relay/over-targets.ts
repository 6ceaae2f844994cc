import { RouterError } from '../core/errors.ts'
import type { Lease } from '../core/lease.ts'
import type { Model, Target } from '../core/target.ts'
import type { Exchange } from './exchange.ts'
import type { Failure } from './upstream-failure.ts'

export type Delivered<T> = { type: 'delivered'; value: T } | ({ type: 'failed' } & Failure)

export interface TargetLoop<T> {
  model: Model
  exchange: Exchange
  /** Picks and reserves a target that is not in `tried`; undefined when none is left. */
  acquire(model: Model, tried: ReadonlySet<Target>, signal: AbortSignal): Promise<Lease | undefined>
  /** One try at one target. A failure with `retry: 'next'` promises that nothing has reached the client. */
  attempt(target: Target): Promise<Delivered<T>>
  /** A target failed and the next one is tried. */
  onFailover(target: Target, error: RouterError): void
}

const maxAttempts = 3

/** Target after target until one delivers. Throws the error that tells the client most. */
export async function overTargets<T>(loop: TargetLoop<T>): Promise<T> {
  const { model, exchange } = loop
  const tried = new Set<Target>()
  let failure: RouterError | undefined
  let poisoned = 0
  while (tried.size < maxAttempts) {
    const lease = await loop.acquire(model, tried, exchange.signal)
    if (!lease) break
    const { target } = lease
    tried.add(target)
    try {
      exchange.beginAttempt(target)
      const delivered = await loop.attempt(target)
      lease.settle(delivered.type === 'delivered' ? 'success' : outcomeOf(delivered.error))
      if (delivered.type === 'delivered') return delivered.value
      failure = moreTelling(failure, delivered.error)
      // Two targets that break on the same request: it is the request.
      const poison = delivered.retry === 'next-once' && poisoned++ > 0
      if (poison || delivered.retry === 'none') throw delivered.error
      loop.onFailover(target, delivered.error)
    } finally {
      lease.settle('failure')
    }
  }
  throw failure ?? noTarget(model.alias)
}

/** Neither a client that left nor a request that the target cannot carry says anything about the target. */
function outcomeOf(error: RouterError): 'failure' | 'cancelled' {
  return error.kind === 'client_gone' || error.kind === 'bad_request' ? 'cancelled' : 'failure'
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
