import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { OllamaGenerateBody } from '../../dialects/ollama/request/schema.ts'
import { OllamaGenerateSchema } from '../../dialects/ollama/response/schemas.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json, lines } from '../../sdk/endpoint-docs.ts'

/** Ollama generate, https://docs.ollama.com/api/generate. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/api/generate'],
    prefixed: ['/generate'],
  })
  const options = { schema: { body: OllamaGenerateBody }, config: { dialect: 'ollama', docs } }
  for (const path of paths) {
    app.post(path, options, (request, reply) => {
      const { prompt, suffix, images, keep_alive: keepAlive } = request.body
      const client = app.gateway.clientRequest('ollama-generate', request)
      if (prompt || suffix || (images && images.length > 0)) return app.gateway.chat(client, request, reply)
      return app.operations.load(client, { keepAlive, endpoint: 'generate' }, request, reply)
    })
  }
}

export default fp(plugin, { name: 'routes/ollama/ollama-generate', encapsulate: true })

const docs: EndpointDocs = {
  id: 'ollamaGenerate',
  tag: 'Ollama',
  summary: 'Generate a completion (Ollama)',
  description: 'Without a `prompt`: loads the model, or with `keep_alive: 0` unloads it.',
  operations: ['completion', 'chat'],
  answers: [
    lines('Unless `stream` is false: the response in chunks, the last with `done: true`, or an `error`.'),
    json('With `stream: false`: the complete response.', OllamaGenerateSchema),
  ],
  example: { model: 'demo', prompt: 'Once upon a time', stream: false },
}
