import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Static } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { withLmStudioExtras } from '../../dialects/openai/lmstudio-extras.ts'
import { OpenaiCompletionBody, OpenaiCompletionEnvelope } from '../../dialects/openai/request/schema.ts'
import { CompletionSchema } from '../../dialects/openai/response/schemas.ts'
import { lmStudioInfo } from '../../fleet/model-cards.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { version } from '../../lib/version.ts'
import { type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'
import { badRequest } from '../../sdk/errors.ts'

/** OpenAI's legacy completions. LM Studio's `v0` path accepts the same request and returns additional fields. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const schema = { body: OpenaiCompletionEnvelope }
  const documentedBody = OpenaiCompletionBody
  const paths = endpointPaths(app.config.endpointPrefix, {
    fixed: ['/v1/completions', '/completions'],
    prefixed: ['/completions', '/v1/completions'],
  })
  for (const path of paths) {
    app.post(path, { schema, config: { dialect: 'openai', documentedBody, docs } }, (request, reply) => {
      requirePrompt(request.body)
      return app.gateway.chat(app.gateway.clientRequest('openai-completion', request), request, reply)
    })
  }
  for (const path of endpointPaths(app.config.endpointPrefix, {
    fixed: [],
    prefixed: ['/v0/completions'],
  })) {
    app.post(
      path,
      { schema, config: { dialect: 'openai', documentedBody, docs: lmStudioDocs } },
      (request, reply) => {
        requirePrompt(request.body)
        const client = app.gateway.clientRequest('openai-completion', request)
        const dialect = withLmStudioExtras(client.dialect, {
          ...lmStudioInfo(client.model, app.engines.contextOf(client.model)),
          version,
        })
        return app.gateway.chat({ ...client, dialect }, request, reply)
      },
    )
  }
}

export default fp(plugin, { name: 'routes/openai/openai-completions', encapsulate: true })

function requirePrompt({
  prompt = null,
  prompt_embeds: embeds = null,
}: Static<typeof OpenaiCompletionEnvelope>) {
  if (prompt !== null || embeds !== null) return
  throw badRequest("'prompt' is required", 'prompt', 'missing_required_parameter')
}

const docs: EndpointDocs = {
  id: 'createCompletion',
  tag: 'OpenAI',
  summary: 'Create a completion (OpenAI, legacy)',
  description: 'Servers that only support chats get the prompt as a chat.',
  operations: ['completion', 'chat'],
  answers: [
    json('The completion.', CompletionSchema),
    events('With `stream: true`: its chunks, then `[DONE]`; after an error no `[DONE]`.'),
  ],
  example: { model: 'demo', prompt: 'Once upon a time', max_tokens: 32 },
}

const lmStudioDocs: EndpointDocs = {
  ...docs,
  id: 'createLmStudioCompletion',
  tag: 'LM Studio',
  summary: 'Create a completion (LM Studio)',
  description: 'Responses also have `stats`, `model_info` and `runtime`.',
}
