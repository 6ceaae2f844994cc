import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { AnthropicCountBody, AnthropicMessagesBody } from '../../dialects/anthropic/request/schema.ts'
import { MessageSchema } from '../../dialects/anthropic/response/schemas.ts'
import { estimateTokens } from '../../dialects/anthropic/token-estimate.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'

/** Anthropic Messages and token counting. Older clients append `?beta=true`, which has no effect. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/messages'],
    prefixed: ['/v1/messages'],
  })
  for (const path of paths) {
    app.post(
      path,
      { schema: { body: AnthropicMessagesBody }, config: { dialect, docs, outline: true } },
      (request, reply) => app.gateway.chat(app.gateway.clientRequest('anthropic', request), request, reply),
    )
    app.post(
      `${path}/count_tokens`,
      { schema: { body: AnthropicCountBody }, config: { dialect, docs: countDocs } },
      async (request, reply) => {
        const client = app.gateway.clientRequest('anthropic', request)
        const counted = await app.operations.countPrompt(client, request)
        // Agents rely on this count, so an estimate is better than an error. The header marks it.
        if (counted === undefined) reply.header('x-llm-router-estimate', 'true')
        return { input_tokens: counted ?? estimateTokens(client.readBody()) }
      },
    )
  }
}

export default fp(plugin, { name: 'routes/anthropic/anthropic-messages', encapsulate: true })

const dialect = 'anthropic'
const example = { model: 'demo', messages: [{ role: 'user', content: 'Hello' }] }

const docs: EndpointDocs = {
  id: 'createMessage',
  tag: 'Anthropic',
  summary: 'Create a message (Anthropic)',
  operations: ['chat'],
  answers: [
    json('The message.', MessageSchema),
    events('With `stream: true`: the events of a message, up to `message_stop`, or an `error`.'),
  ],
  example: { ...example, max_tokens: 256 },
}

const countDocs: EndpointDocs = {
  id: 'countMessageTokens',
  tag: 'Anthropic',
  summary: 'Count the tokens of a message',
  description:
    'Counted by the engine if it can; otherwise estimated, with the header `x-llm-router-estimate`.',
  operations: ['count', 'tokenize'],
  otherwise: 'the router estimates',
  answers: [json('The count.', Type.Object({ input_tokens: Type.Integer({ minimum: 0 }) }))],
  example,
}
