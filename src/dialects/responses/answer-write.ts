import { type JsonObject, textOf } from '../../lib/json/read.ts'
import type { ChatChoice, ChatResponse, TokenLogprob, ToolCall } from '../../sdk/chat.ts'
import type { AnswerContext } from '../../sdk/dialect.ts'
import { signedId } from '../shared/signed-ids.ts'
import { argumentObject, isCompleteCall } from '../shared/tool-arguments.ts'
import { answerObject, endingOf, itemId } from './answer-object.ts'
import { customToolNames } from './tools-read.ts'

/** A whole answer: thoughts, then the message, then the calls. The API has one choice. */
export function writeResponse(response: ChatResponse, context: AnswerContext): JsonObject {
  const [choice] = response.choices
  const output = choice ? itemsOf(choice, context) : []
  return answerObject(context, { ...endingOf(choice?.finishReason ?? 'stop'), output, usage: response.usage })
}

function itemsOf(choice: ChatChoice, { id, request = {} }: AnswerContext): JsonObject[] {
  const { reasoning, toolCalls, finishReason } = choice
  const { status } = endingOf(finishReason)
  const cut = status === 'incomplete' && toolCalls.length === 0
  const items: JsonObject[] = []
  if (reasoning !== '') items.push(reasoningItem(itemId('rs', id, 0), reasoning))
  const parts = partsOf(choice)
  if (parts.length > 0) {
    items.push(messageItem(itemId('msg', id, items.length), parts, cut ? 'incomplete' : 'completed'))
  }
  const custom = customToolNames(request.tools)
  for (const call of toolCalls) {
    // Only the last call can have been cut by a limit.
    const ended = status === 'incomplete' && call === toolCalls.at(-1) ? 'incomplete' : 'completed'
    const item = custom.has(call.name)
      ? customItem(itemId('ctc', id, items.length), call, ended)
      : functionItem(itemId('fc', id, items.length), call, ended)
    items.push(item)
  }
  return items
}

/** Line breaks that a template emits before a call are not a message. */
function partsOf({ text, refusal, toolCalls, logprobs = [] }: ChatChoice): MessagePart[] {
  const parts: MessagePart[] = []
  const says = toolCalls.length > 0 ? text.trim() !== '' : text !== ''
  if (says) parts.push({ type: 'text', text, logprobs })
  if (refusal) parts.push({ type: 'refusal', text: refusal })
  return parts
}

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

/** Thoughts of local models are sent as the summary, the only part that all clients show. */
export function reasoningItem(id: string, text: string): JsonObject {
  return { id, type: 'reasoning', summary: text === '' ? [] : [summaryPart(text)] }
}

export function summaryPart(text: string): JsonObject {
  return { type: 'summary_text', text }
}

export function functionItem(id: string, call: ToolCall, status: ItemStatus): JsonObject {
  const { name, arguments: json } = call
  const callId = signedId(call)
  return { id, type: 'function_call', status: statusOf(call, status), call_id: callId, name, arguments: json }
}

export function customItem(id: string, call: ToolCall, status: ItemStatus): JsonObject {
  const { name } = call
  const callId = signedId(call)
  const input = customInput(call)
  return { id, type: 'custom_tool_call', status: statusOf(call, status), call_id: callId, name, input }
}

/** A call that a token limit cut is incomplete, whatever follows it. */
function statusOf(call: ToolCall, status: ItemStatus): ItemStatus {
  return status === 'completed' && !isCompleteCall(call.arguments) ? 'incomplete' : status
}

/** A custom tool was offered as a function with one argument, `input`; this extracts its text, as far as it has arrived. */
export function customInput(call: ToolCall): string {
  return textOf(argumentObject(call.arguments).input) ?? call.arguments
}

export function writeLogprob({ token, logprob, bytes, topLogprobs }: TokenLogprob): JsonObject {
  return { token, logprob, bytes: bytes ?? [], top_logprobs: topLogprobs.map(writeTop) }
}

function writeTop(top: TokenLogprob['topLogprobs'][number]): JsonObject {
  return { ...top, bytes: top.bytes ?? [] }
}
