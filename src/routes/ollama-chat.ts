import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import { isZeroTime, loadAnswer } from '../dialects/ollama/load.ts'
import { OllamaChatBody } from '../dialects/ollama/schema.ts'

/** Ollama chat, https://docs.ollama.com/api/chat. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  for (const path of endpointPaths(app.config.endpointPrefix, {
    fixed: ['/api/chat'],
    prefixed: ['/chat'],
  })) {
    app.post(path, { schema: { body: OllamaChatBody }, config: { dialect: 'ollama' } }, (request, reply) => {
      const { body } = request
      const call = app.gateway.chatCall('ollama', request)
      if (body.messages && body.messages.length > 0) return app.gateway.chat(call, request, reply)
      // Without messages the client means: load the model, or with keep_alive 0 unload it. Other servers than
      // Ollama's know neither, so the router answers that it is done.
      const answer = loadAnswer(call.alias, new Date(), isZeroTime(body.keep_alive) ? 'unload' : 'load')
      if (!call.stream) return reply.send(answer)
      return reply.type('application/x-ndjson').send(`${JSON.stringify(answer)}\n`)
    })
  }
}

export default plugin
