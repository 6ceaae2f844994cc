import { asRouterError, RouterError } from '../../sdk/errors.ts'
import type { Model } from '../../sdk/target.ts'
import { attempt } from '../attempt/attempt.ts'
import type { AttemptResult, AttemptSuccess } from '../attempt/attempt-result.ts'
import type { AttemptPlan } from '../attempt/prepared-attempt.ts'
import type { RelayServices } from '../services.ts'
import { type Acquired, deadlineExceeded, defaultTurn } from './lease.ts'
import { ModelAttempts, type ModelFailure, noTargetError } from './model-attempts.ts'

/**
 * Tries the targets of the model until one answers, then those of its fallback models. Undefined: the response was
 * streamed to the client. Throws the most useful error of the requested model.
 */
export async function withFailover<Answer>(
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
    const { traits, request, canServe } = plan
    const attempts = new ModelAttempts({ model, traits, request, canServe, hasFallback }, services)
    const result = await tryModel(plan, attempts, services)
    if (result.type === 'success') {
      for (const before of failed) before.judge('fallback')
      return result.answer
    }
    attempts.judge('nobody')
    failed.push(attempts)
    first ??= result.error
    if (result.isFinal || signal.aborted) break
  }
  throw first ?? noTargetError(plan.model.alias)
}

/** As `withFailover`, for responses that are never streamed. */
export async function wholeWithFailover<Answer>(
  plan: AttemptPlan<Answer>,
  services: RelayServices,
): Promise<Answer> {
  const answer = await withFailover(plan, services)
  if (answer === undefined) throw new Error('a whole answer was streamed')
  return answer
}

/** Tries the targets of a model; if none is usable, waits for one and tries again. */
async function tryModel<Answer>(
  plan: AttemptPlan<Answer>,
  attempts: ModelAttempts,
  services: RelayServices,
): Promise<AttemptSuccess<Answer> | ModelFailure> {
  const { exchange, signal = exchange.signal } = services
  try {
    for (;;) {
      const result = await tryTargets(plan, attempts, services)
      if (result.type === 'success' || !result.isUnserved || attempts.hasFallback) return result
      if (!(await exchange.steps.awaitExternal(holdUntilDeadline(attempts.model, services, signal))))
        return result
      attempts.restart()
    }
  } finally {
    attempts.end()
  }
}

async function holdUntilDeadline(
  model: Model,
  { exchange, hold, turn: { deadlineAt } = defaultTurn }: RelayServices,
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

async function tryTargets<Answer>(
  plan: AttemptPlan<Answer>,
  attempts: ModelAttempts,
  services: RelayServices,
): Promise<AttemptSuccess<Answer> | ModelFailure> {
  try {
    while (attempts.remaining > 0) {
      const acquired = pickTarget(attempts, services)
      const lease = acquired instanceof Promise ? await acquired : acquired
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
      const failure = attempts.recordFailure(lease, result)
      if (failure) return failure
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

function pickTarget(attempts: ModelAttempts, services: RelayServices): Acquired {
  const { model } = attempts
  const context = attempts.pickContext()
  const { acquire, exchange, signal = exchange.signal } = services
  const { steps } = exchange
  const { deadlineAt } = context.turn
  try {
    if (deadlineAt !== undefined && steps.now() >= deadlineAt) throw deadlineExceeded()
    const acquired = acquire(model, context, signal)
    if (acquired instanceof Promise) return steps.pick(model.alias, acquired)
    steps.pickEnded(model.alias, acquired !== undefined)
    return acquired
  } catch (error) {
    steps.pickEnded(model.alias, false, 0, asRouterError(error))
    throw error
  }
}
