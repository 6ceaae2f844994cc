import { append } from '../../../lib/append.ts'
import { present } from '../../../lib/json/read.ts'
import type { AssistantMessage, ChatMessage } from '../../../sdk/chat.ts'
import { addParts } from './call-order.ts'

/**
 * Consecutive turns of the same role as one. Anthropic combines them (Messages API reference, `messages`), and clients of Gemini
 * send several. The chat templates of many other models reject them.
 */
export function mergedTurns(messages: readonly ChatMessage[]): ChatMessage[] {
  const merged: ChatMessage[] = []
  for (const message of messages) {
    const last = merged.at(-1)
    if (last?.role === 'user' && message.role === 'user') append(last.parts, message.parts)
    else if (last?.role === 'user' && message.role === 'tool') merged.splice(-1, 0, message)
    else if (last?.role === 'assistant' && message.role === 'assistant') addTurn(last, message)
    else merged.push(message)
  }
  return merged
}

function addTurn(
  turn: AssistantMessage,
  { parts, reasoning, reasoningSignature, toolCalls }: AssistantMessage,
) {
  const before = turn.parts.length
  addParts(turn, parts)
  for (const call of toolCalls) {
    if (call.partsBefore !== undefined) call.partsBefore += before
    turn.toolCalls.push(call)
  }
  if (reasoning === '' && reasoningSignature === undefined) return
  // A signature is valid for one block only.
  const isFirst = turn.reasoning === '' && turn.reasoningSignature === undefined
  turn.reasoning = isFirst ? reasoning : [turn.reasoning, reasoning].filter(Boolean).join('\n\n')
  delete turn.reasoningSignature
  if (isFirst) Object.assign(turn, present({ reasoningSignature }))
}
