import { asRouterError, RouterError } from '../../sdk/errors.ts'
import type { Model } from '../../sdk/target.ts'
import { attempt } from '../attempt/attempt.ts'
import type { AttemptResult, AttemptSuccess } from '../attempt/attempt-result.ts'
import type { AttemptPlan } from '../attempt/prepared-attempt.ts'
import type { RelayServices } from '../services.ts'
import { type Acquired, deadlineExceeded, type PickContext, plainTurn } from './lease.ts'
import { ModelAttempts, type ModelFailure, noTarget } from './model-attempts.ts'

const maxAttempts = 3

/**
 * Tries the targets of the model until one answers, then those of its fallback models. Undefined: the response was
 * streamed to the client. Throws the most useful error of the requested model.
 */
export async function overTargets<Answer>(
  plan: AttemptPlan<Answer>,
  services: RelayServices,
): Promise<Answer | undefined> {
  const { exchange, signal = exchange.signal } = services
  const fallbacks = services.fallbacksOf(plan.model)
  const failed: ModelAttempts[] = []
  let first: RouterError | undefined
  for (const model of [plan.model, ...fallbacks]) {
    if (failed.length > 0) exchange.answeringModel = model.alias
    const hasFallback = failed.length < fallbacks.length
    const { traits, request, can } = plan
    const attempts = new ModelAttempts({ model, traits, request, can, hasFallback }, services)
    const result = await overModel(plan, attempts, services)
    if (result.type === 'success') {
      for (const before of failed) before.judge('fallback')
      return result.answer
    }
    attempts.judge('nobody')
    failed.push(attempts)
    first ??= result.error
    if (result.isFinal || signal.aborted) break
  }
  throw first ?? noTarget(plan.model.alias)
}

/** The same for responses that are never streamed. */
export async function wholeOverTargets<Answer>(
  plan: AttemptPlan<Answer>,
  services: RelayServices,
): Promise<Answer> {
  const answer = await overTargets(plan, services)
  if (answer === undefined) throw new Error('a whole answer was streamed')
  return answer
}

/** Tries the targets of a model; if none is usable, waits for one and tries again. */
async function overModel<Answer>(
  plan: AttemptPlan<Answer>,
  attempts: ModelAttempts,
  services: RelayServices,
): Promise<AttemptSuccess<Answer> | ModelFailure> {
  const { exchange, signal = exchange.signal } = services
  try {
    for (;;) {
      const result = await overTargetsOnce(plan, attempts, services)
      if (result.type === 'success' || !result.isUnserved || attempts.hasFallback) return result
      if (!(await exchange.steps.outside(holdUntilDeadline(attempts.model, services, signal)))) return result
      attempts.restart()
    }
  } finally {
    attempts.end()
  }
}

async function holdUntilDeadline(
  model: Model,
  { exchange, hold, turn: { deadlineAt } = plainTurn }: RelayServices,
  signal: AbortSignal,
): Promise<boolean> {
  if (deadlineAt === undefined) return hold(model, exchange, signal)
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(deadlineExceeded()), deadlineAt - exchange.steps.now())
  try {
    return await hold(model, exchange, AbortSignal.any([signal, deadline.signal]))
  } finally {
    clearTimeout(timer)
  }
}

async function overTargetsOnce<Answer>(
  plan: AttemptPlan<Answer>,
  attempts: ModelAttempts,
  services: RelayServices,
): Promise<AttemptSuccess<Answer> | ModelFailure> {
  try {
    for (let made = 0; made < maxAttempts; ) {
      const found = search(attempts, attempts.pickContext(made === maxAttempts - 1), services)
      const lease = found instanceof Promise ? await found : found
      const running = lease && attempts.begin(lease)
      if (!running) break
      let result: AttemptResult<Answer> | undefined
      try {
        result = await attempt(plan, running, attempts)
      } finally {
        running.end(result)
      }
      if (result.type === 'success') {
        attempts.judge('target')
        return result
      }
      const failure = attempts.failed(lease, result)
      if (failure) return failure
      if (attempts.counts(lease.target, result)) made++
      if (await attempts.mayKillServers()) break
    }
    return attempts.exhausted()
  } catch (error) {
    // No target is usable, or the queue is full or too slow. Another model may have one.
    if (error instanceof RouterError && (error.kind === 'overloaded' || error.kind === 'rate_limit')) {
      return { type: 'failure', error, isFinal: false, isUnserved: error.code === 'no_healthy_provider' }
    }
    attempts.judge('unknown')
    throw error
  }
}

function search({ model }: ModelAttempts, context: PickContext, services: RelayServices): Acquired {
  const { acquire, exchange, signal = exchange.signal } = services
  const { steps } = exchange
  const { deadlineAt } = context.turn
  try {
    if (deadlineAt !== undefined && steps.now() >= deadlineAt) throw deadlineExceeded()
    const acquired = acquire(model, context, signal)
    if (acquired instanceof Promise) return steps.search(model.alias, acquired)
    steps.searched(model.alias, acquired !== undefined)
    return acquired
  } catch (error) {
    steps.searched(model.alias, false, 0, asRouterError(error))
    throw error
  }
}
