import { countOf, filledTextOf, isObject, type JsonObject, tokensOf } from '../../../lib/json/read.ts'
import type { Timings, TokenLogprob, ToolCall, Usage } from '../../../sdk/chat.ts'
import { type RouterError, streamTruncated, upstreamFailed } from '../../../sdk/errors.ts'
import { type ReadReason, readFinishReason } from '../../shared/finish-reasons.ts'
import { readTokenLogprobs } from '../../shared/logprobs.ts'
import type { AnswerCallIds } from '../../shared/tools/call-ids.ts'
import { wholeArgumentText } from '../../shared/tools/tool-arguments.ts'
import { unreadable } from '../../shared/upstream-error.ts'

/** Content of a whole response, or of one line of a stream. */
export interface AnswerMessage {
  text: string
  reasoning: string
  toolCalls: ToolCall[]
}

/** Throws `upstream_error` for a message that does not have Ollama's form: skipping it would silently drop content. */
export function readMessage(answer: JsonObject, ids: AnswerCallIds): AnswerMessage {
  const message = answer.message ?? generateAsMessage(answer)
  if (!isObject(message)) throw unreadable('message')
  const calls = message.tool_calls ?? []
  if (!Array.isArray(calls)) throw unreadable('tool_calls')
  return {
    text: textOf(message.content),
    reasoning: textOf(message.thinking),
    toolCalls: calls.flatMap((call: unknown) => readCall(call, ids)),
  }
}

/** A response of `POST /api/generate` as a message. */
export function generateAsMessage({ response, thinking }: JsonObject): JsonObject {
  return { content: response, thinking }
}

/** Whether a response, or one line of it, contains generated content. */
export function hasContent(answer: JsonObject): boolean {
  const message = answer.message ?? generateAsMessage(answer)
  if (!isObject(message)) return false
  const { content, thinking, tool_calls: calls } = message
  return Boolean(content) || Boolean(thinking) || (Array.isArray(calls) && calls.length > 0)
}

/** Whether the engine stopped a repetitive answer, in which case it reports neither `done` nor a reason. */
export function isStopped(answer: JsonObject): boolean {
  return answer.done === false && !answer.done_reason
}

/**
 * The error of an answer that ended without any output; undefined if that is valid. `load` means that the template made an
 * empty prompt, an empty reason that the runner stopped before it began.
 */
export function emptyAnswer(answer: JsonObject): RouterError | undefined {
  switch (answer.done_reason) {
    case 'load':
    case 'unload':
      return upstreamFailed('The upstream returned no response to this prompt', 'EMPTY_PROMPT')
    case '':
      return streamTruncated()
    default:
      return undefined
  }
}

/** Ollama has no finish reason for tool calls. */
export function finishReasonOf(answer: JsonObject, calledTools: boolean): ReadReason {
  return isStopped(answer) ? { reason: 'length' } : readFinishReason(answer.done_reason, calledTools)
}

/** Ollama omits zero counts, so a response with any metric has both counts. */
export function readUsage(answer: unknown): Usage | undefined {
  if (!isObject(answer)) return undefined
  const prompt = tokensOf(answer.prompt_eval_count)
  const completion = tokensOf(answer.eval_count)
  if (prompt === undefined && completion === undefined && !readTimings(answer)) return undefined
  return { promptTokens: prompt ?? 0, completionTokens: completion ?? 0 }
}

/** The engine's own durations, which Ollama reports in nanoseconds. */
export function readTimings(answer: JsonObject): Timings | undefined {
  const totalNs = countOf(answer.total_duration)
  const loadNs = countOf(answer.load_duration)
  const promptNs = countOf(answer.prompt_eval_duration)
  const completionNs = countOf(answer.eval_duration)
  const timings: Timings = {
    ...(totalNs === undefined ? {} : { totalNs }),
    ...(loadNs === undefined ? {} : { loadNs }),
    ...(promptNs === undefined ? {} : { promptNs }),
    ...(completionNs === undefined ? {} : { completionNs }),
  }
  return Object.keys(timings).length > 0 ? timings : undefined
}

export function readLogprobs(answer: JsonObject): TokenLogprob[] {
  return readTokenLogprobs(answer.logprobs) ?? []
}

/** Unix seconds of `created_at` (RFC 3339, up to nanoseconds). */
export function readCreated(answer: JsonObject): number | undefined {
  const ms = typeof answer.created_at === 'string' ? Date.parse(answer.created_at) : Number.NaN
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000)
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  throw unreadable('text')
}

/** Ollama returns arguments as an object; compatible servers may return OpenAI's JSON string. */
function readCall(call: unknown, ids: AnswerCallIds): ToolCall[] {
  const functionMember = isObject(call) ? call.function : undefined
  const name = isObject(functionMember) ? filledTextOf(functionMember.name) : undefined
  // A call without a name is dropped: it would be an error in the next turn.
  if (!isObject(call) || !isObject(functionMember) || name === undefined) return []
  return [
    { id: ids.claim(filledTextOf(call.id)), name, arguments: wholeArgumentText(functionMember.arguments) },
  ]
}
