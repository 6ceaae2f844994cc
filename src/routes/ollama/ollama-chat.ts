import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { isZeroTime, loadAnswer } from '../../dialects/ollama/generate.ts'
import { OllamaChatBody } from '../../dialects/ollama/request/schema.ts'
import { OllamaChatSchema } from '../../dialects/ollama/response/schemas.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { answerHeaders } from '../../relay/answer/answer-headers.ts'
import { loadModel } from '../../relay/run/load.ts'
import { type EndpointDocs, json, lines } from '../../sdk/endpoint-docs.ts'

/** Ollama chat, https://docs.ollama.com/api/chat. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const options = { schema: { body: OllamaChatBody }, config: { dialect: 'ollama', docs } }
  for (const path of endpointPaths(app.config.endpointPrefix, {
    fixed: ['/api/chat'],
    prefixed: ['/chat'],
  })) {
    app.post(path, options, async (request, reply) => {
      const { body } = request
      const client = app.gateway.clientRequest('ollama', request)
      if (body.messages && body.messages.length > 0) return app.gateway.chat(client, request, reply)
      // A request without messages loads the model, or unloads it with `keep_alive: 0`.
      const action = isZeroTime(body.keep_alive) ? 'unload' : 'load'
      const processing = app.processors.begin(request, client.model)
      const loading = processing ? await processing.processClientRequest(client) : client
      await loadModel(loading, action, app.gateway.services(request))
      reply.headers(answerHeaders(request.exchange))
      const answer = loadAnswer(client.alias, new Date(), action)
      if (!client.stream) return reply.send(answer)
      return reply.type('application/x-ndjson').send(`${JSON.stringify(answer)}\n`)
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
