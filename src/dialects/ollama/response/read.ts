import { isObject, type JsonObject } from '../../../lib/json/read.ts'
import type { ChatResponse, TokenLogprob } from '../../../sdk/chat.ts'
import { streamTruncated } from '../../../sdk/errors.ts'
import { abortError } from '../../shared/finish-reasons.ts'
import { AnswerCallIds } from '../../shared/tools/call-ids.ts'
import { isErrorShaped, reportedError, unreadable } from '../../shared/upstream-error.ts'
import {
  emptyAnswer,
  finishReasonOf,
  hasContent,
  isStopped,
  readCreated,
  readLogprobs,
  readMessage,
  readTimings,
  readUsage,
} from './fields-read.ts'

/**
 * Checks that a body is an answer of `POST /api/chat` or `/api/generate`, whatever its content. Throws `upstream_error` if it
 * is not, or reports an error.
 */
export function checkAnswer(body: unknown): asserts body is JsonObject {
  if (!isObject(body)) throw unreadable('answer')
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body.message) && typeof body.response !== 'string') throw unreadable('message')
  const failed = abortError(body.done_reason)
  if (failed) throw failed
  const hasNoReason = body.done_reason === '' || isStopped(body)
  if (hasNoReason && !hasContent(body)) throw streamTruncated()
}

/** Reads a whole answer of `POST /api/chat`. Throws `upstream_error` as {@link checkAnswer} does, and for an empty answer. */
export function readResponse(body: unknown, newCallId: () => string): ChatResponse {
  checkAnswer(body)
  if (!isObject(body.message)) throw unreadable('message')
  const { text, reasoning, toolCalls } = readMessage(body, new AnswerCallIds(newCallId))
  const empty = text === '' && reasoning === '' && toolCalls.length === 0 ? emptyAnswer(body) : undefined
  if (empty) throw empty
  const { reason, unknownReason } = finishReasonOf(body, toolCalls.length > 0)
  const created = readCreated(body)
  const logprobs = reasoning === '' ? readLogprobs(body) : logprobsOf(text, readLogprobs(body))
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

/** A whole answer lists the tokens of its reasoning before those of its text; other dialects have none for reasoning. */
function logprobsOf(text: string, logprobs: readonly TokenLogprob[]): TokenLogprob[] {
  const tokens = logprobs.map(({ token, bytes }) => Buffer.from(bytes ?? token))
  const start = Buffer.concat(tokens).lastIndexOf(text)
  const end = start + Buffer.byteLength(text)
  let offset = 0
  return logprobs.filter((_, index) => {
    const from = offset
    offset += tokens[index]?.length ?? 0
    return start !== -1 && from < end && offset > start
  })
}
