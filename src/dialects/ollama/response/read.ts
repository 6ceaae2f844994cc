import { isObject, type JsonObject } from '../../../lib/json/read.ts'
import type { ChatResponse, Timings, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { streamTruncated } from '../../../sdk/errors.ts'
import { AnswerCallIds } from '../../shared/call-ids.ts'
import { failedBy } from '../../shared/finish-reasons.ts'
import { isErrorShaped, reportedError, unreadable } from '../../shared/upstream-error.ts'
import {
  emptyAnswer,
  finishReasonOf,
  isStopped,
  readCreated,
  readLogprobs,
  readMessage,
  readTimings,
  readUsage,
  saysAnything,
} from './fields-read.ts'
import { writeEnd, writeLogprobs, writeToolCall } from './fields-write.ts'

/**
 * Whether this is an answer of `POST /api/chat` or `/api/generate`, whatever the model wrote. Throws `upstream_error` when it
 * is none, or reports an error.
 */
export function checkAnswer(body: unknown): asserts body is JsonObject {
  if (!isObject(body)) throw unreadable('answer')
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body.message) && typeof body.response !== 'string') throw unreadable('message')
  const failed = failedBy(body.done_reason)
  if (failed) throw failed
  const isNothing = body.done_reason === '' || isStopped(body)
  if (isNothing && !saysAnything(body)) throw streamTruncated()
}

/** Reads a whole answer of `POST /api/chat`. Throws `upstream_error` for what {@link checkAnswer} does, and for no answer. */
export function readResponse(body: unknown, newCallId: () => string): ChatResponse {
  checkAnswer(body)
  if (!isObject(body.message)) throw unreadable('message')
  const { text, reasoning, toolCalls } = readMessage(body, new AnswerCallIds(newCallId))
  const empty = text === '' && reasoning === '' && toolCalls.length === 0 ? emptyAnswer(body) : undefined
  if (empty) throw empty
  const { reason, unknownReason } = finishReasonOf(body, toolCalls.length > 0)
  const created = readCreated(body)
  const logprobs = readLogprobs(body)
  const usage = readUsage(body)
  const timings = readTimings(body)
  return {
    ...(created === undefined ? {} : { created }),
    choices: [
      {
        index: 0,
        text,
        reasoning,
        toolCalls,
        finishReason: reason,
        ...(unknownReason === undefined ? {} : { unknownReason }),
        ...(logprobs.length === 0 ? {} : { logprobs }),
      },
    ],
    ...(usage ? { usage } : {}),
    ...(timings ? { timings } : {}),
  }
}

/** Writes a whole answer. */
export function writeResponse(response: ChatResponse, context: AnswerContext): Record<string, unknown> {
  const choice = response.choices.find(({ index }) => index === 0) ?? response.choices[0]
  if (!choice) throw unreadable('choices')
  const { text, reasoning, refusal = '', toolCalls, logprobs = [] } = choice
  const { usage } = response
  return {
    model: context.model,
    created_at: context.now().toISOString(),
    message: {
      role: 'assistant',
      // Ollama has no member for refusals.
      content: text === '' ? refusal : text,
      ...(reasoning === '' ? {} : { thinking: reasoning }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(writeToolCall) }),
    },
    ...writeEnd({ reason: choice.finishReason, unknownReason: choice.unknownReason }, usage, {
      ...estimate(context.elapsedMs() * 1e6, usage),
      ...response.timings,
    }),
    ...(logprobs.length === 0 ? {} : { logprobs: writeLogprobs(logprobs) }),
  }
}

/**
 * A whole answer does not show when its first token came. Prompts are read in large batches, so a prompt token is
 * taken for a twentieth of a written one; clients show rates made of these, none relies on them.
 */
function estimate(totalNs: number, usage: Usage | undefined): Timings {
  const prompt = usage?.promptTokens ?? 0
  const completion = usage?.completionTokens ?? 0
  const share = prompt === 0 ? 0 : prompt / (prompt + 20 * completion)
  return { totalNs, promptNs: totalNs * share, completionNs: completion === 0 ? 0 : totalNs * (1 - share) }
}
