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
    app.post(
      `${path}/count_tokens`,
      { schema: { body: AnthropicCountBody }, config },
      async (request, reply) => {
        const call = app.gateway.chatCall('anthropic', request)
        const counted = await app.operations.countPrompt(call, request)
        // Agents ask often and need an answer; where no engine gave one, the header says that this is not a count.
        if (counted === undefined) reply.header('x-llm-router-estimate', 'true')
        return { input_tokens: counted ?? estimateTokens(call.body) }
      },
    )
  }
}

export default plugin
