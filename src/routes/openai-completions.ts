import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { OpenaiCompletionBody } from '../dialects/openai/completion-schema.ts'

/** OpenAI's older completions; LM Studio's `v0` path is the same request. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/completions', '/completions'],
    prefixed: ['/completions', '/v1/completions', '/v0/completions'],
  })
  const options = { schema: { body: OpenaiCompletionBody }, config: { dialect: 'openai' } }
  for (const path of paths) {
    app.post(path, options, (request, reply) =>
      app.gateway.chat(app.gateway.chatCall('openai-completion', request), request, reply),
    )
  }
}

export default plugin
