import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import { conversationFields } from '../../sdk/conversation-fields.ts'
import { optional } from '../../sdk/text-endpoint.ts'
import { readHistory } from './chat-history.ts'

const plugin: FastifyPluginAsync = async (app) => {
  app.textEndpoints.add({
    name: 'conversation_with_model',
    summary: "Goes on with a conversation, under the router's own system prompt or one of the library.",
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
    summary: "Goes on with a conversation, under the request's own system prompt or one of the library.",
    fields: { ...conversationFields, system_prompt: optional(Type.String()) },
    example: { user_last_statement: 'Why do cats sleep so much?', system_prompt: 'Answer in one sentence.' },
    requiredUnless: { system_prompt: 'prompt' },
    response: Type.String(),
    // A named prompt goes first; the request's own words then add to it.
    system: ({ prompt, system_prompt }) =>
      prompt ? { named: prompt, append: system_prompt } : { append: system_prompt },
    history: ({ historical_messages }) => readHistory(historical_messages ?? [], 'historical_messages'),
    text: ({ user_last_statement }) => user_last_statement,
    answer: (response) => ({ response }),
  })
}

export default plugin
