import { append } from '../../../lib/append.ts'
import {
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  present,
  textOf,
  tokensOf,
} from '../../../lib/json/read.ts'
import type { ChatChoice, ChatResponse, ToolCall, Usage } from '../../../sdk/chat.ts'
import { addText } from '../../../sdk/choice-pieces.ts'
import { readAnnotations } from '../../shared/annotations.ts'
import { type ReadReason, readFinishReason } from '../../shared/finish-reasons.ts'
import { readTokenLogprobs } from '../../shared/logprobs.ts'
import { AnswerCallIds, randomCallId } from '../../shared/tools/call-ids.ts'
import { customArguments, wholeArgumentText } from '../../shared/tools/tool-arguments.ts'
import { isErrorShaped, reportedError, unreadable } from '../../shared/upstream-error.ts'

/**
 * Checks that a body is a `response` object, whatever its content; that of a background request is unfinished. Throws
 * `upstream_error` if it is not, or if it failed or was cancelled.
 */
export function checkAnswer(body: unknown): asserts body is JsonObject {
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body)) throw unreadable('not an object')
  if (!Array.isArray(body.output) && body.object !== 'response') throw unreadable('no output')
  if (body.status === 'failed' || body.status === 'cancelled') throw reportedError(body)
}

/**
 * Reads a whole `response` object. Throws `upstream_error` as {@link checkAnswer} does, and for an unfinished one. `newCallId`
 * returns an id for a call that has none.
 */
export function readResponse(body: unknown, newCallId: () => string = randomCallId): ChatResponse {
  checkAnswer(body)
  const { status } = body
  if (status === 'in_progress' || status === 'queued') throw unreadable('an answer that is not finished')
  const items = objectsIn(body.output)
  const choice: ChatChoice = { index: 0, text: '', reasoning: '', toolCalls: [], finishReason: 'stop' }
  const ids = new AnswerCallIds(newCallId)
  for (const item of items) {
    if (item.type === 'message') addText(choice, objectsIn(item.content).map(textOfPart).join(''))
    else if (isCall(item)) append(choice.toolCalls, readCall(item, ids))
  }
  const parts = items.flatMap((item) => (item.type === 'message' ? objectsIn(item.content) : []))
  const refusal = parts.map((part) => (part.type === 'refusal' ? (textOf(part.refusal) ?? '') : '')).join('')
  let length = 0
  const citations = parts.flatMap((part) => {
    const before = length
    length += textOfPart(part).length
    return readAnnotations(part.annotations, before)
  })
  const logprobs = parts.flatMap((part) => readTokenLogprobs(part.logprobs) ?? [])
  const { reason, unknownReason } = finishReasonOf(body, choice.toolCalls.length > 0)
  return {
    ...readHead(body),
    choices: [
      {
        ...choice,
        reasoning: items.map(reasoningOf).filter(Boolean).join('\n\n'),
        finishReason: reason,
        ...present({ unknownReason }),
        ...(refusal === '' ? {} : { refusal }),
        ...(logprobs.length === 0 ? {} : { logprobs }),
        ...(citations.length === 0 ? {} : { citations }),
      },
    ],
    ...present({ usage: readUsage(body) }),
  }
}

function textOfPart(part: JsonObject): string {
  return part.type === 'refusal' ? '' : (textOf(part.text) ?? '')
}

function readCall(item: JsonObject, ids: AnswerCallIds): ToolCall[] {
  const name = filledTextOf(item.name)
  // A call without a name is dropped: it would be an error in the next turn.
  if (name === undefined) return []
  return [{ id: ids.claim(filledTextOf(item.call_id)), name, arguments: callArguments(item) }]
}

export function isCall(item: JsonObject): boolean {
  return item.type === 'function_call' || item.type === 'custom_tool_call'
}

/** The arguments as JSON text. The free text of a custom tool becomes its single argument. */
export function callArguments(item: JsonObject): string {
  if (item.type === 'custom_tool_call') return customArguments(textOf(item.input) ?? '')
  return wholeArgumentText(item.arguments)
}

/** The reasoning text if sent, otherwise its summary. */
export function reasoningOf(item: JsonObject): string {
  if (item.type !== 'reasoning') return ''
  const texts = (parts: unknown): string[] => objectsIn(parts).map((part) => textOf(part.text) ?? '')
  return texts(item.content).join('') || texts(item.summary).join('\n\n')
}

/** Only an incomplete response has a reason on the wire; one without a reason counts as truncated by a limit. */
export function finishReasonOf(response: JsonObject, calledTools: boolean): ReadReason {
  const details = response.incomplete_details
  const reason = isObject(details) ? filledTextOf(details.reason) : undefined
  if (reason === undefined && response.status === 'incomplete') return { reason: 'length' }
  return readFinishReason(reason, calledTools)
}

export function readHead(response: JsonObject): { id?: string; created?: number } {
  const created = numberOf(response.created_at)
  return present({
    id: filledTextOf(response.id),
    created: created === undefined || created <= 0 ? undefined : Math.floor(created),
  })
}

/** Token counts of a response object, or of an event that contains one. */
export function readUsage(body: unknown): Usage | undefined {
  if (!isObject(body)) return undefined
  if (isObject(body.response)) return readUsage(body.response)
  const { usage } = body
  if (!isObject(usage)) return undefined
  const input = tokensOf(usage.input_tokens)
  const output = tokensOf(usage.output_tokens)
  if (input === undefined && output === undefined) return undefined
  const details = isObject(usage.input_tokens_details) ? usage.input_tokens_details : {}
  const outputDetails = isObject(usage.output_tokens_details) ? usage.output_tokens_details : {}
  return {
    promptTokens: input ?? 0,
    completionTokens: output ?? 0,
    ...present({
      cachedTokens: tokensOf(details.cached_tokens),
      cacheWriteTokens: tokensOf(details.cache_write_tokens) ?? tokensOf(details.created_cache_tokens),
      reasoningTokens: tokensOf(outputDetails.reasoning_tokens),
    }),
  }
}
