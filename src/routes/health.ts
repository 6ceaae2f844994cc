import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { version } from '../core/version.ts'

/** Is it there, and which version: what Ollama's clients and the older router's clients ask first. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  // Tools find an Ollama server by exactly this text.
  app.get('/', (_request, reply) => reply.type('text/plain; charset=utf-8').send('Ollama is running'))

  for (const path of endpointPaths(prefix, { fixed: ['/ping'], prefixed: ['/ping'] })) {
    app.get(path, (request) => ({
      status: true,
      body: 'pong',
      response_time: request.exchange.elapsedMs() / 1000,
    }))
  }
  for (const path of endpointPaths(prefix, { fixed: ['/version', '/api/version'], prefixed: ['/version'] })) {
    app.get(path, () => ({ version }))
  }
}

export default plugin
