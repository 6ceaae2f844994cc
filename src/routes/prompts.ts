import type { FastifyPluginAsync } from 'fastify'
import { endpointPaths } from '../core/endpoint-paths.ts'

/** What can be asked of the router's own: the prompts of the library, and the text endpoints with their schemas. */
const plugin: FastifyPluginAsync = async (app) => {
  const prefix = app.config.endpointPrefix
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/prompts'] })) {
    app.get(path, { config: { dialect: 'openai' } }, () => ({
      prompts: app.prompts
        .list()
        .map(({ id, language, placeholders }) => ({ id, language: language ?? null, placeholders })),
    }))
  }
  for (const path of endpointPaths(prefix, { fixed: ['/builtin'], prefixed: ['/builtin'] })) {
    app.get(path, { config: { dialect: 'openai' } }, () => ({ endpoints: app.textEndpoints.list() }))
  }
}

export default plugin
