import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { OllamaChatBody } from '../../dialects/ollama/request/schema.ts'
import { OllamaChatSchema } from '../../dialects/ollama/response/schemas.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json, lines } from '../../sdk/endpoint-docs.ts'

/** Ollama chat, https://docs.ollama.com/api/chat. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const options = { schema: { body: OllamaChatBody }, config: { dialect: 'ollama', docs } }
  for (const path of endpointPaths(app.config.endpointPrefix, {
    fixed: ['/api/chat'],
    prefixed: ['/chat'],
  })) {
    app.post(path, options, (request, reply) => {
      const { messages, keep_alive: keepAlive } = request.body
      const client = app.gateway.clientRequest('ollama', request)
      if (messages && messages.length > 0) return app.gateway.chat(client, request, reply)
      return app.operations.load(client, { keepAlive, endpoint: 'chat' }, request, reply)
    })
  }
}

export default fp(plugin, { name: 'routes/ollama/ollama-chat', encapsulate: true })

const docs: EndpointDocs = {
  id: 'ollamaChat',
  tag: 'Ollama',
  summary: 'Generate a chat completion (Ollama)',
  description: 'Without `messages`: loads the model, or with `keep_alive: 0` unloads it.',
  operations: ['chat'],
  answers: [
    lines('Unless `stream` is false: the response in chunks, the last with `done: true`, or an `error`.'),
    json('With `stream: false`: the complete response.', OllamaChatSchema),
  ],
  example: { model: 'demo', messages: [{ role: 'user', content: 'Hello' }], stream: false },
}
