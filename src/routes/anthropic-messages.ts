import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { AnthropicCountBody, AnthropicMessagesBody } from '../dialects/anthropic/schema.ts'
import { estimateTokens } from '../dialects/anthropic/token-estimate.ts'

/** Anthropic Messages and the count of a prompt's tokens; older clients add `?beta=true`, which changes nothing. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { dialect: 'anthropic' }
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/messages'],
    prefixed: ['/v1/messages'],
  })
  for (const path of paths) {
    app.post(path, { schema: { body: AnthropicMessagesBody }, config }, (request, reply) =>
      app.gateway.chat(app.gateway.chatCall('anthropic', request), request, reply),
    )
    app.post(`${path}/count_tokens`, { schema: { body: AnthropicCountBody }, config }, (request, reply) => {
      const call = app.gateway.chatCall('anthropic', request)
      // No engine is asked: the header says that this is not a count.
      return reply.header('x-llm-router-estimate', 'true').send({ input_tokens: estimateTokens(call.body) })
    })
  }
}

export default plugin
