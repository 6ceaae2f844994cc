import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { lmStudioInfo } from '../core/model-cards.ts'
import { version } from '../core/version.ts'
import { OpenaiCompletionBody } from '../dialects/openai/completion-schema.ts'
import { withLmStudioExtras } from '../dialects/openai/lmstudio-extras.ts'

/** OpenAI's older completions; LM Studio's `v0` path is the same request, and tells more in its answer. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const options = { schema: { body: OpenaiCompletionBody }, config: { dialect: 'openai' } }
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/completions', '/completions'],
    prefixed: ['/completions', '/v1/completions'],
  })
  for (const path of paths) {
    app.post(path, options, (request, reply) =>
      app.gateway.chat(app.gateway.chatCall('openai-completion', request), request, reply),
    )
  }
  for (const path of endpointPaths(app.config.endpointPrefix, {
    fixed: [],
    prefixed: ['/v0/completions'],
  })) {
    app.post(path, options, (request, reply) => {
      const call = app.gateway.chatCall('openai-completion', request)
      const dialect = withLmStudioExtras(call.dialect, { ...lmStudioInfo(call.model), version })
      return app.gateway.chat({ ...call, dialect }, request, reply)
    })
  }
}

export default plugin
