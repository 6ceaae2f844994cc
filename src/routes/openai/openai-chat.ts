import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { withLmStudioExtras } from '../../dialects/openai/lmstudio-extras.ts'
import { OpenaiChatBody, OpenaiChatEnvelope } from '../../dialects/openai/request/schema.ts'
import { ChatCompletionSchema } from '../../dialects/openai/response/schemas.ts'
import { lmStudioInfo } from '../../fleet/model-cards.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { version } from '../../lib/version.ts'
import { type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'

/** OpenAI chat completions. LM Studio's `v0` path accepts the same request and returns additional fields. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const schema = { body: OpenaiChatEnvelope }
  const documentedBody = OpenaiChatBody
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/chat/completions', '/chat/completions'],
    prefixed: ['/chat/completions', '/v1/chat/completions'],
  })
  for (const path of paths) {
    app.post(
      path,
      { schema, config: { dialect: 'openai', documentedBody, outline: true, docs } },
      (request, reply) => app.gateway.chat(app.gateway.clientRequest('openai', request), request, reply),
    )
  }
  for (const path of endpointPaths(app.config.endpointPrefix, {
    fixed: [],
    prefixed: ['/v0/chat/completions'],
  })) {
    app.post(
      path,
      { schema, config: { dialect: 'openai', documentedBody, docs: lmStudioDocs } },
      (request, reply) => {
        const client = app.gateway.clientRequest('openai', request)
        const dialect = withLmStudioExtras(client.dialect, {
          ...lmStudioInfo(client.model, app.engines.contextOf(client.model)),
          version,
        })
        return app.gateway.chat({ ...client, dialect }, request, reply)
      },
    )
  }
}

export default fp(plugin, { name: 'routes/openai/openai-chat', encapsulate: true })

const docs: EndpointDocs = {
  id: 'createChatCompletion',
  tag: 'OpenAI',
  summary: 'Create a chat completion (OpenAI)',
  operations: ['chat'],
  answers: [
    json('The completion.', ChatCompletionSchema),
    events('With `stream: true`: its chunks, then `[DONE]`; after an error no `[DONE]`.'),
  ],
  example: { model: 'demo', messages: [{ role: 'user', content: 'Hello' }] },
}

const lmStudioDocs: EndpointDocs = {
  ...docs,
  id: 'createLmStudioChatCompletion',
  tag: 'LM Studio',
  summary: 'Create a chat completion (LM Studio)',
  description: 'Responses also have `stats`, `model_info` and `runtime`.',
}
