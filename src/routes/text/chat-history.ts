import type { ChatMessage } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'

/**
 * Earlier turns of a conversation: `{"user": "...", "assistant": "..."}` with either or both, the user first, or
 * `{"role": "user" | "assistant", "content": "..."}`. Throws `bad_request` with the place of what is neither; a system
 * message is none either, as the endpoint has its own.
 */
export function readHistory(items: readonly object[], field: string): ChatMessage[] {
  return items.flatMap((item, index) => readItem(new Map(Object.entries(item)), `${field}[${index}]`))
}

function readItem(item: ReadonlyMap<string, unknown>, place: string): ChatMessage[] {
  if (item.has('role')) {
    const role = item.get('role')
    if (role !== 'user' && role !== 'assistant') {
      throw badRequest(`'${place}.role' must be user or assistant`, `${place}.role`, 'invalid_value')
    }
    return [messageOf(role, item.get('content'), `${place}.content`)]
  }
  const turns = (['user', 'assistant'] as const).filter((role) => (item.get(role) ?? null) !== null)
  if (turns.length === 0) {
    throw badRequest(`'${place}' must have user, assistant, or role and content`, place, 'invalid_value')
  }
  return turns.map((role) => messageOf(role, item.get(role), `${place}.${role}`))
}

function messageOf(role: 'user' | 'assistant', text: unknown, place: string): ChatMessage {
  if (typeof text !== 'string') throw badRequest(`'${place}' must be a string`, place, 'invalid_value')
  return role === 'user'
    ? { role, parts: [{ type: 'text', text }] }
    : { role, parts: [{ type: 'text', text }], reasoning: '', toolCalls: [] }
}
