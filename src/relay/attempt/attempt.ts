import { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type { UpstreamRequest } from '../../sdk/transport.ts'
import { type WholeAnswer, withoutMark } from '../answer/whole-answer.ts'
import { asUnsupportedOperation, isUnsupportedOperation } from '../request/operation-targets.ts'
import { UnreadableRequest } from '../request/prepare-body.ts'
import { thinkingLimitOf } from '../request/thinking-limits.ts'
import {
  type AttemptFailure,
  type AttemptResult,
  type AttemptSuccess,
  movesOn,
  type OnResult,
} from './attempt-result.ts'
import { isLoadingReport, type LoadingWait, waitWhileLoading } from './loading-wait.ts'
import { OpenAttempt } from './open-attempt.ts'
import type { AttemptContext, AttemptPlan, PreparedAttempt } from './prepared-attempt.ts'
import { noteUpstreamText } from './safe-text.ts'
import { failureOfReport } from './status-failure.ts'
import { unreadableFailure } from './upstream-failure.ts'

/**
 * One attempt at one target. A server that is loading its model has not failed: the attempt waits for it, or moves on if
 * another target is usable; without `wait` it fails. A failure with `retry` other than `none` guarantees that nothing has reached
 * the client. `maxTokens`: token limit that replaces the client's.
 */
export async function attempt<Answer>(
  plan: Pick<AttemptPlan<Answer>, 'prepare'>,
  context: AttemptContext,
  wait?: LoadingWait,
  maxTokens?: number,
): Promise<AttemptResult<Answer>> {
  const { services, target } = context
  const { declined, exchange, loading } = services
  while (wait && loading.isLoading(target)) {
    const failure = await waitWhileLoading(target, wait, services)
    if (failure) return failure
  }
  const prepared = prepare(plan, target, maxTokens)
  if ('error' in prepared) return prepared
  const result = await dispatch(context, prepared)
  if (result.type === 'success') return readResult(result, prepared, context)
  const failure = asUnsupportedOperation(result, prepared.operation, target)
  const fitting = maxTokens === undefined ? fittingLimit(failure.error, target) : undefined
  if (fitting !== undefined) {
    exchange.drop('max_tokens', `lowered to ${fitting}, which fits the context of the model`)
    return attempt(plan, context, wait, fitting)
  }
  const limit = prepared.isPassthrough ? undefined : thinkingLimitOf(failure.error)
  if (limit && !declined.has(target, limit)) {
    declined.add(target, limit)
    return attempt(plan, context, wait, maxTokens)
  }
  if (prepared.hasAlternative && isUnsupportedOperation(failure.error)) {
    declined.add(target, prepared.operation)
    return attempt(plan, context, wait)
  }
  if (!wait || !isLoadingReport(failure)) return failure
  loading.noteLoading(target)
  return (await waitWhileLoading(target, wait, services)) ?? attempt(plan, context, wait)
}

function readResult<Answer>(
  result: AttemptSuccess<WholeAnswer>,
  prepared: PreparedAttempt<Answer>,
  { services, target, trace }: AttemptContext,
): AttemptResult<Answer> {
  if (result.answer === undefined) return { ...result, answer: undefined }
  try {
    const read = prepared.read(withoutMark(result.answer))
    if ('error' in read) return read
    services.exchange.addUsage(read.usage)
    trace?.used(read.usage)
    return { ...result, ...read }
  } catch (error) {
    return unreadableAnswer(error, target, prepared)
  }
}

/** The longest response that fits after the prompt; undefined if none does, or if `fit_max_tokens` is not set. */
function fittingLimit({ overflow }: RouterError, { fitMaxTokens }: Target): number | undefined {
  if (!fitMaxTokens || overflow?.maxTokens === undefined) return undefined
  const room = overflow.contextTokens - overflow.inputTokens
  return room >= 1 && room < overflow.maxTokens ? room : undefined
}

/** Another target may accept what this one cannot carry at all, such as an image URL for Ollama. */
function prepare<Answer>(
  plan: Pick<AttemptPlan<Answer>, 'prepare'>,
  target: Target,
  maxTokens: number | undefined,
): PreparedAttempt<Answer> | AttemptFailure {
  try {
    return plan.prepare(target, maxTokens)
  } catch (error) {
    if (error instanceof RouterError) return movesOn(error, 'nothing')
    throw error instanceof UnreadableRequest ? error.cause : error
  }
}

/**
 * Dispatches the request and waits for its end, which is not the router's own time. If a kept-alive
 * socket was closed without a response byte, retries once over a new one. Rejects only in case of a bug.
 */
function dispatch(context: AttemptContext, prepared: PreparedAttempt): Promise<AttemptResult<WholeAnswer>> {
  const { target } = context
  const { steps } = context.services.exchange
  return new Promise((resolve, reject) => {
    const open = (freshSocket: boolean, onResult: OnResult): void => {
      try {
        new OpenAttempt(context, prepared, onResult).start(freshSocket)
      } catch (error) {
        reject(error)
      }
    }
    const end: OnResult = (result) => {
      steps.endExternal()
      // Synchronously: the log line of a truncated stream is written in this tick.
      if (result.type === 'failure') noteUpstreamText(result.error, target, prepared)
      resolve(result)
    }
    steps.beginExternal()
    open(false, (first) => {
      if (first.type === 'success' || first.retry !== 'same') return end(first)
      steps.resent(target.model)
      open(true, (again) => end(again.type === 'failure' ? afterSilentClose(again) : again))
    })
  })
}

/**
 * Both sockets were closed without a response byte, or no second connection was accepted: the request may have crashed the
 * server.
 */
function afterSilentClose(again: AttemptFailure): AttemptFailure {
  if (again.retry === 'same') return { ...again, retry: 'next', verdict: 'ambiguous', closedSilently: true }
  return again.verdict === 'connect' ? { ...again, closedSilently: true } : again
}

/** A whole response with status 2xx that reports an error or cannot be read. `sent`: its request. */
function unreadableAnswer(
  error: unknown,
  target: Target,
  sent: Pick<UpstreamRequest, 'body'>,
): AttemptFailure {
  const failure = error instanceof RouterError ? failureOfReport(error, target) : unreadableFailure(error)
  noteUpstreamText(failure.error, target, sent)
  return failure
}
