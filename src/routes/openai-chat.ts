import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { OpenaiChatBody } from '../dialects/openai/schema.ts'

/** OpenAI chat completions; LM Studio's `v0` path is the same request. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/chat/completions', '/chat/completions'],
    prefixed: ['/chat/completions', '/v1/chat/completions', '/v0/chat/completions'],
  })
  for (const path of paths) {
    app.post(path, { schema: { body: OpenaiChatBody }, config: { dialect: 'openai' } }, (request, reply) =>
      app.gateway.chat(app.gateway.chatCall('openai', request), request, reply),
    )
  }
}

export default plugin
