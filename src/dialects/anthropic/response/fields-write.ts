import type { JsonObject } from '../../../lib/json/read.ts'
import type { FinishReason, Usage } from '../../../sdk/chat.ts'

/**
 * The counts that every `usage` has, even if they are unknown: the official clients fail without them. Those of the input are
 * disjoint in this dialect.
 */
export function writeCounts(usage: Usage): JsonObject {
  const { promptTokens, completionTokens, cachedTokens = 0, cacheWriteTokens = 0, reasoningTokens } = usage
  return {
    input_tokens: Math.max(promptTokens - cachedTokens - cacheWriteTokens, 0),
    cache_creation_input_tokens: cacheWriteTokens,
    cache_read_input_tokens: cachedTokens,
    output_tokens: completionTokens,
    output_tokens_details: reasoningTokens === undefined ? null : { thinking_tokens: reasoningTokens },
    server_tool_use: null,
  }
}

/** The `usage` of a message; that of `message_delta` has only the counts. */
export function writeUsage(usage: Usage): JsonObject {
  return { ...writeCounts(usage), cache_creation: null, service_tier: 'standard' }
}

export interface WrittenEnd {
  reason: FinishReason
  stopSequence: string | undefined
  calledTools: boolean
  isRefusal: boolean
}

/** How a message ended. Source: Anthropic API reference, `stop_reason`. */
export function writeStop(end: WrittenEnd): JsonObject {
  const reason = stopReasonOf(end)
  return {
    stop_reason: reason,
    stop_sequence: reason === 'stop_sequence' ? end.stopSequence : null,
    stop_details: reason === 'refusal' ? { type: 'refusal', category: null, explanation: null } : null,
  }
}

function stopReasonOf({ reason, stopSequence, calledTools, isRefusal }: WrittenEnd): string {
  if (reason === 'length') return 'max_tokens'
  if (reason === 'content_filter') return 'refusal'
  if (reason === 'tool_calls' || calledTools) return 'tool_use'
  if (isRefusal) return 'refusal'
  return stopSequence === undefined ? 'end_turn' : 'stop_sequence'
}

/** The first members of a message, which has no creation time. */
export function messageHead(id: string, model: string): JsonObject {
  return { id, type: 'message', role: 'assistant', model }
}

/** The upstream's id if it has this dialect's form, otherwise one generated from the response's random part. */
export function answerId(upstreamId: string | undefined, ownId: string): string {
  return upstreamId?.startsWith('msg_') ? upstreamId : `msg_${ownId}`
}
