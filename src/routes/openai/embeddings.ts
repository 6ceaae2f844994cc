import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import {
  OllamaEmbedBody,
  OllamaEmbeddingsBody,
  OllamaEmbedEnvelope,
} from '../../dialects/ollama/embedding.ts'
import { OllamaEmbeddingSchema, OllamaEmbedSchema } from '../../dialects/ollama/response/schemas.ts'
import { OpenaiEmbeddingBody, OpenaiEmbeddingEnvelope } from '../../dialects/openai/embedding.ts'
import { EmbeddingListSchema } from '../../dialects/openai/response/schemas.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { badRequest } from '../../sdk/errors.ts'

const EitherBody = Type.Object({
  ...OllamaEmbeddingsBody.properties,
  ...OpenaiEmbeddingBody.properties,
  input: Type.Optional(Type.Union([OpenaiEmbeddingBody.properties.input, Type.Null()])),
  prompt: Type.Optional(Type.Union([Type.String(), Type.Null()])),
})

const EitherEnvelope = Type.Object({
  ...OpenaiEmbeddingEnvelope.properties,
  prompt: Type.Optional(Type.Unknown()),
})

/**
 * Embeddings: OpenAI's, https://platform.openai.com/docs/api-reference/embeddings (also at LM Studio's `v0` path), and
 * Ollama's two, https://docs.ollama.com/api/embed. `P/embeddings` is both Ollama's legacy path and the Python
 * llm-router's path for OpenAI clients: the body decides which format applies.
 */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  const older = endpointPaths(prefix, { fixed: ['/api/embeddings'], prefixed: ['/embeddings'] })
  const openai = endpointPaths(prefix, {
    fixed: ['/v1/embeddings', '/embeddings'],
    prefixed: ['/v1/embeddings', '/v0/embeddings'],
  })
  const upstreamCost = app.operations.embeddingCost
  for (const path of openai.filter((each) => !older.includes(each))) {
    const config = { dialect: 'openai', docs, documentedBody: OpenaiEmbeddingBody, upstreamCost }
    app.post(path, { schema: { body: OpenaiEmbeddingEnvelope }, config }, (request, reply) => {
      const { input = null, messages = null } = request.body
      if (input === null && messages === null) throw inputMissing()
      return app.operations.embed('openai', request, reply)
    })
  }
  for (const path of older) {
    const options = {
      schema: { body: EitherEnvelope },
      config: { dialect: 'ollama', docs: eitherDocs, documentedBody: EitherBody, upstreamCost },
    }
    app.post(path, options, (request, reply) => {
      const { input = null, prompt = null, messages = null } = request.body
      const dialect = input === null && prompt !== null ? 'ollama' : 'openai'
      request.errorDialect = dialect
      if (input === null && prompt === null && messages === null) throw inputMissing()
      return app.operations.embed(dialect, request, reply)
    })
  }
  const paths = endpointPaths(prefix, { fixed: ['/api/embed'], prefixed: ['/embed'] })
  for (const path of paths) {
    const options = {
      schema: { body: OllamaEmbedEnvelope },
      config: { dialect: 'ollama', docs: ollamaDocs, documentedBody: OllamaEmbedBody, upstreamCost },
    }
    app.post(path, options, (request, reply) => app.operations.embed('ollama', request, reply))
  }
}

export default fp(plugin, { name: 'routes/openai/embeddings', encapsulate: true })

function inputMissing(): Error {
  return badRequest("'input' is required", 'input', 'missing_required_parameter')
}

const example = { model: 'my-embedding-model', input: ['Hello', 'World'] }

const docs: EndpointDocs = {
  id: 'createEmbedding',
  tag: 'OpenAI',
  summary: 'Create embeddings (OpenAI)',
  description:
    'OpenAI-compatible servers also receive their own extensions, such as `messages` or the `encoding_format` `bytes` of vLLM.',
  operations: ['embedding'],
  answers: [json('The vectors.', EmbeddingListSchema)],
  example,
}

const eitherDocs: EndpointDocs = {
  id: 'createEmbeddings',
  tag: 'Ollama',
  summary: 'Create embeddings: OpenAI format with `input`, older Ollama format with `prompt`',
  operations: ['embedding'],
  answers: [
    json(
      'The vectors, in the format of the request.',
      Type.Union([EmbeddingListSchema, OllamaEmbeddingSchema], { title: 'Embeddings' }),
    ),
  ],
  example: { model: 'my-embedding-model', prompt: 'Hello' },
}

const ollamaDocs: EndpointDocs = {
  id: 'ollamaEmbed',
  tag: 'Ollama',
  summary: 'Create embeddings (Ollama)',
  operations: ['embedding'],
  answers: [json('The vectors.', OllamaEmbedSchema)],
  example,
}
