import { type JsonObject, textOf } from '../../lib/json/read.ts'
import type { TokenLogprob, ToolCall } from '../../sdk/chat.ts'
import { argumentObject, isCompleteCall } from '../shared/tool-arguments.ts'

/** Form of the items: OpenAI API reference, "The response object", member `output`. */
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete'

export type MessagePart =
  | { type: 'text'; text: string; logprobs: TokenLogprob[] }
  | { type: 'refusal'; text: string }

export function messageItem(id: string, parts: readonly MessagePart[], status: ItemStatus): JsonObject {
  return { id, type: 'message', status, role: 'assistant', content: parts.map(contentPart) }
}

export function contentPart(part: MessagePart): JsonObject {
  if (part.type === 'refusal') return { type: 'refusal', refusal: part.text }
  return { type: 'output_text', text: part.text, annotations: [], logprobs: part.logprobs.map(writeLogprob) }
}

/** Thoughts of local models are told as the summary, the one part that all clients show. */
export function reasoningItem(id: string, text: string): JsonObject {
  return { id, type: 'reasoning', summary: text === '' ? [] : [summaryPart(text)] }
}

export function summaryPart(text: string): JsonObject {
  return { type: 'summary_text', text }
}

export function functionItem(id: string, call: ToolCall, status: ItemStatus): JsonObject {
  const { id: callId, name, arguments: json } = call
  return { id, type: 'function_call', status: statusOf(call, status), call_id: callId, name, arguments: json }
}

export function customItem(id: string, call: ToolCall, status: ItemStatus): JsonObject {
  const { id: callId, name } = call
  const input = customInput(call)
  return { id, type: 'custom_tool_call', status: statusOf(call, status), call_id: callId, name, input }
}

/** A call that a token limit cut is incomplete, whatever follows it. */
function statusOf(call: ToolCall, status: ItemStatus): ItemStatus {
  return status === 'completed' && !isCompleteCall(call.arguments) ? 'incomplete' : status
}

/** A custom tool was offered as a function with the one argument `input`; its free text is taken out again, as far as it came. */
export function customInput(call: ToolCall): string {
  return textOf(argumentObject(call.arguments).input) ?? call.arguments
}

export function writeLogprob({ token, logprob, bytes, topLogprobs }: TokenLogprob): JsonObject {
  return { token, logprob, bytes: bytes ?? [], top_logprobs: topLogprobs.map(writeTop) }
}

function writeTop(top: TokenLogprob['topLogprobs'][number]): JsonObject {
  return { ...top, bytes: top.bytes ?? [] }
}
