import {
  countOf,
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { ChatResponse, TokenLogprob, ToolCall, Usage } from '../../../sdk/chat.ts'
import { randomCallId } from '../../shared/call-ids.ts'
import { type ReadReason, readFinishReason } from '../../shared/finish-reasons.ts'
import { customArguments, wholeArgumentText } from '../../shared/tool-arguments.ts'
import { isErrorShaped, reportedError, unreadable } from '../../shared/upstream-error.ts'

/**
 * Whether this is a `response` object, whatever the model wrote; one of a background request is not finished. Throws
 * `upstream_error` if it failed or was cancelled, or is not a response.
 */
export function checkAnswer(body: unknown): asserts body is JsonObject {
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body)) throw unreadable('not an object')
  if (!Array.isArray(body.output) && body.object !== 'response') throw unreadable('no output')
  if (body.status === 'failed' || body.status === 'cancelled') throw reportedError(body)
}

/**
 * Reads a whole `response` object. Throws `upstream_error` for what {@link checkAnswer} does, and for one that is not
 * finished. `newCallId` names calls that have no id of their own.
 */
export function readResponse(body: unknown, newCallId: () => string = randomCallId): ChatResponse {
  checkAnswer(body)
  const { status } = body
  if (status === 'in_progress' || status === 'queued') throw unreadable('an answer that is not finished')
  const items = objectsIn(body.output)
  const parts = items.flatMap((item) => (item.type === 'message' ? objectsIn(item.content) : []))
  const refusal = parts.map((part) => (part.type === 'refusal' ? (textOf(part.refusal) ?? '') : '')).join('')
  const logprobs = parts.flatMap((part) => readLogprobs(part.logprobs) ?? [])
  const toolCalls = readCalls(items, newCallId)
  const { reason, unknownReason } = finishReasonOf(body, toolCalls.length > 0)
  return {
    ...readHead(body),
    choices: [
      {
        index: 0,
        text: parts.map((part) => (part.type === 'refusal' ? '' : (textOf(part.text) ?? ''))).join(''),
        reasoning: items.map(thoughtsOf).filter(Boolean).join('\n\n'),
        toolCalls,
        finishReason: reason,
        ...present({ unknownReason }),
        ...(refusal === '' ? {} : { refusal }),
        ...(logprobs.length === 0 ? {} : { logprobs }),
      },
    ],
    ...present({ usage: readUsage(body) }),
  }
}

function readCalls(items: readonly JsonObject[], newCallId: () => string): ToolCall[] {
  const used = new Set<string>()
  return items.filter(isCall).flatMap((item) => {
    const name = filledTextOf(item.name)
    // A call without a name is dropped: it would be an error in the next turn.
    if (name === undefined) return []
    let id = filledTextOf(item.call_id) ?? ''
    while (id === '' || used.has(id)) id = newCallId()
    used.add(id)
    return [{ id, name, arguments: callArguments(item) }]
  })
}

export function isCall(item: JsonObject): boolean {
  return item.type === 'function_call' || item.type === 'custom_tool_call'
}

/** The generated arguments. The free text of a custom tool becomes its single argument. */
export function callArguments(item: JsonObject): string {
  if (item.type === 'custom_tool_call') return customArguments(textOf(item.input) ?? '')
  return wholeArgumentText(item.arguments)
}

/** The thoughts themselves if sent, otherwise their summary. */
function thoughtsOf(item: JsonObject): string {
  if (item.type !== 'reasoning') return ''
  const texts = (parts: unknown): string[] => objectsIn(parts).map((part) => textOf(part.text) ?? '')
  return texts(item.content).join('') || texts(item.summary).join('\n\n')
}

/**
 * There is no reason for calls on the wire: such an answer is as completed as any. An incomplete one says why, and was cut
 * where it does not.
 */
export function finishReasonOf(response: JsonObject, called: boolean): ReadReason {
  const details = response.incomplete_details
  const reason = isObject(details) ? filledTextOf(details.reason) : undefined
  if (reason === undefined && response.status === 'incomplete') return { reason: 'length' }
  return readFinishReason(reason, called)
}

export function readHead(response: JsonObject): { id?: string; created?: number } {
  const created = numberOf(response.created_at)
  return present({
    id: filledTextOf(response.id),
    created: created === undefined || created <= 0 ? undefined : Math.floor(created),
  })
}

/** Token counts of a response object, or of the event around it. */
export function readUsage(body: unknown): Usage | undefined {
  if (!isObject(body)) return undefined
  if (isObject(body.response)) return readUsage(body.response)
  const { usage } = body
  if (!isObject(usage)) return undefined
  const input = countOf(usage.input_tokens)
  const output = countOf(usage.output_tokens)
  if (input === undefined && output === undefined) return undefined
  const details = isObject(usage.input_tokens_details) ? usage.input_tokens_details : {}
  const outputDetails = isObject(usage.output_tokens_details) ? usage.output_tokens_details : {}
  return {
    promptTokens: input ?? 0,
    completionTokens: output ?? 0,
    ...present({
      cachedTokens: countOf(details.cached_tokens),
      cacheWriteTokens: countOf(details.cache_write_tokens) ?? countOf(details.created_cache_tokens),
      reasoningTokens: countOf(outputDetails.reasoning_tokens),
    }),
  }
}

/** Undefined where there are none, as in an empty list. */
export function readLogprobs(logprobs: unknown): TokenLogprob[] | undefined {
  const tokens = objectsIn(logprobs)
  if (tokens.length === 0) return undefined
  return tokens.map((token) => ({
    ...readToken(token),
    topLogprobs: objectsIn(token.top_logprobs).map(readToken),
  }))
}

function readToken(token: JsonObject): Omit<TokenLogprob, 'topLogprobs'> {
  return {
    token: textOf(token.token) ?? '',
    logprob: numberOf(token.logprob) ?? 0,
    bytes: Array.isArray(token.bytes) ? token.bytes.filter((byte) => typeof byte === 'number') : null,
  }
}
