import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { ChatMessage } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'
import { optional } from '../../sdk/text-endpoint.ts'

const plugin: FastifyPluginAsync = async (app) => {
  app.textEndpoints.add({
    name: 'conversation_with_model',
    summary: "Continue a conversation, with the router's system prompt or one from the library.",
    fields: conversationFields,
    example: { user_last_statement: 'Why do cats sleep so much?' },
    response: Type.String(),
    system: ({ prompt }) => ({ prompt: 'builtin/system/*/chat-conversation-simple', named: prompt }),
    history: ({ historical_messages }) => readHistory(historical_messages ?? [], 'historical_messages'),
    text: ({ user_last_statement }) => user_last_statement,
    answer: (response) => ({ response }),
  })

  app.textEndpoints.add({
    name: 'extended_conversation_with_model',
    summary: "Continue a conversation, with the request's system prompt or one from the library.",
    fields: { ...conversationFields, system_prompt: optional(Type.String()) },
    example: { user_last_statement: 'Why do cats sleep so much?', system_prompt: 'Answer in one sentence.' },
    requiredUnless: { system_prompt: 'prompt' },
    response: Type.String(),
    // A named prompt comes first; the request's system prompt is appended.
    system: ({ prompt, system_prompt }) =>
      prompt ? { named: prompt, append: system_prompt } : { append: system_prompt },
    history: ({ historical_messages }) => readHistory(historical_messages ?? [], 'historical_messages'),
    text: ({ user_last_statement }) => user_last_statement,
    answer: (response) => ({ response }),
  })
}

export default fp(plugin, { name: 'routes/text/conversation-with-model', encapsulate: true })

/**
 * Reads earlier turns of a conversation: `{"user": "...", "assistant": "..."}` with one or both members, or
 * `{"role": "user" | "assistant", "content": "..."}`. Throws `bad_request` with the path of any other item, including system
 * messages, because the endpoint has its own.
 */
export function readHistory(items: readonly object[], field: string): ChatMessage[] {
  return items.flatMap((item, index) => readItem(new Map(Object.entries(item)), `${field}[${index}]`))
}

function readItem(item: ReadonlyMap<string, unknown>, path: string): ChatMessage[] {
  if (item.has('role')) {
    const role = item.get('role')
    if (role !== 'user' && role !== 'assistant') {
      throw badRequest(`'${path}.role' must be user or assistant`, `${path}.role`, 'invalid_value')
    }
    return [messageOf(role, item.get('content'), `${path}.content`)]
  }
  const turns = (['user', 'assistant'] as const).filter((role) => (item.get(role) ?? null) !== null)
  if (turns.length === 0) {
    throw badRequest(`'${path}' must have user, assistant, or role and content`, path, 'invalid_value')
  }
  return turns.map((role) => messageOf(role, item.get(role), `${path}.${role}`))
}

function messageOf(role: 'user' | 'assistant', text: unknown, path: string): ChatMessage {
  if (typeof text !== 'string') throw badRequest(`'${path}' must be a string`, path, 'invalid_value')
  return role === 'user'
    ? { role, parts: [{ type: 'text', text }] }
    : { role, parts: [{ type: 'text', text }], reasoning: '', toolCalls: [] }
}

/** Fields of both conversation endpoints. */
export const conversationFields = {
  user_last_statement: Type.String(),
  historical_messages: optional(Type.Array(Type.Object({}))),
  prompt: optional(
    Type.Object({
      id: Type.String({ minLength: 1 }),
      variables: optional(Type.Record(Type.String(), Type.String())),
    }),
  ),
}
