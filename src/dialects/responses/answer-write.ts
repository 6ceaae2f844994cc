import type { JsonObject } from '../../lib/json/read.ts'
import type { ChatChoice, ChatResponse } from '../../sdk/chat.ts'
import type { AnswerContext } from '../../sdk/dialect.ts'
import { customItem, functionItem, type MessagePart, messageItem, reasoningItem } from './answer-items.ts'
import { answerObject, endingOf, itemId } from './answer-object.ts'
import { customToolNames } from './tools-read.ts'

/** A whole answer: thoughts, then the message, then the calls. There is one choice, the API knows no more. */
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
    // What a limit cut is the last of an answer.
    const ended = status === 'incomplete' && call === toolCalls.at(-1) ? 'incomplete' : 'completed'
    const item = custom.has(call.name)
      ? customItem(itemId('ctc', id, items.length), call, ended)
      : functionItem(itemId('fc', id, items.length), call, ended)
    items.push(item)
  }
  return items
}

/** Line breaks that a template puts before a call are no message. */
function partsOf({ text, refusal, toolCalls, logprobs = [] }: ChatChoice): MessagePart[] {
  const parts: MessagePart[] = []
  const says = toolCalls.length > 0 ? text.trim() !== '' : text !== ''
  if (says) parts.push({ type: 'text', text, logprobs })
  if (refusal) parts.push({ type: 'refusal', text: refusal })
  return parts
}
