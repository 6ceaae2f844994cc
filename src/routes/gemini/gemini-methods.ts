import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { countedChat, estimateTokens } from '../../dialects/gemini/count.ts'
import { readCallPath, rejectQueryKey } from '../../dialects/gemini/models.ts'
import { GeminiBody } from '../../dialects/gemini/request/schema.ts'
import { GeminiAnswerSchema } from '../../dialects/gemini/response/schemas.ts'
import { withArrayStream } from '../../dialects/gemini/stream/array-stream.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'
import { RouterError } from '../../sdk/errors.ts'

/**
 * Gemini's methods, `POST /v1beta/models/{model}:{method}`, https://ai.google.dev/api/generate-content. `/v1` has the same
 * ones. For its model list see models/listings.ts.
 */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const prefix = app.config.endpointPrefix
  const methods = ['/v1beta/models', '/v1/models']
  for (const path of endpointPaths(prefix, { fixed: methods, prefixed: methods })) {
    const config = { dialect, docs: callDocs, outline: true, upstreamCost }
    const options = { schema: { body: GeminiBody }, config, onRequest }
    app.post<{ Querystring: Record<string, unknown> }>(`${path}/*`, options, async (request, reply) => {
      const { model, method } = callOf(request)
      switch (method) {
        case 'generateContent':
        case 'streamGenerateContent': {
          const stream = method === 'streamGenerateContent'
          const client = app.gateway.clientRequest(dialect, request, { model, stream })
          const isArray = stream && request.query.alt !== 'sse'
          const clientDialect = isArray ? withArrayStream(client.dialect) : client.dialect
          return app.gateway.chat({ ...client, dialect: clientDialect }, request, reply)
        }
        case 'countTokens': {
          const client = app.gateway.clientRequest(dialect, request, { model, stream: false })
          const chat = countedChat(client.readBody())
          const counted = await app.operations.countPrompt({ ...client, readBody: () => chat }, request)
          if (counted === undefined) reply.header('x-llm-router-estimate', 'true')
          return { totalTokens: counted ?? estimateTokens(chat) }
        }
        case 'embedContent':
        case 'batchEmbedContents':
          return app.operations.embed(dialect, request, reply, model)
        default:
          throw new RouterError(
            'not_found',
            `Unknown method '${method.slice(0, 64)}'; known: ${methodNames}`,
            {
              code: 'not_found',
            },
          )
      }
    })
  }
}

export default fp(plugin, { name: 'routes/gemini/gemini-methods', encapsulate: true })

const dialect = 'gemini'

async function onRequest({ query }: FastifyRequest): Promise<void> {
  rejectQueryKey(query)
}

function restOf({ params }: FastifyRequest): string {
  return (params as { '*': string })['*'] // the route's pattern
}

function callOf(request: FastifyRequest): { model: string; method: string } {
  const call = readCallPath(restOf(request))
  if (!call)
    throw new RouterError(
      'not_found',
      'The path must name a model and a method, such as model:generateContent',
      {
        code: 'not_found',
      },
    )
  return call
}

/** Token counts and embeddings have no completion tokens. */
function upstreamCost(request: FastifyRequest) {
  const { method } = readCallPath(restOf(request)) ?? {}
  if (method === 'generateContent' || method === 'streamGenerateContent') return undefined
  return { requests: 1, atOnce: 1, promptBytes: request.exchange.receivedBytes, maxTokens: 0 }
}

const methodNames = 'generateContent, streamGenerateContent, countTokens, embedContent, batchEmbedContents'
const callDocs: EndpointDocs = {
  id: 'geminiCall',
  tag: 'Gemini',
  summary: 'Call a method of a model (Gemini)',
  description:
    'Methods: `generateContent`, `streamGenerateContent`, `countTokens`, `embedContent`, `batchEmbedContents`. The last colon separates model and method; the name of the model may contain slashes and colons.',
  operations: ['chat', 'embedding', 'count'],
  answers: [
    json(
      'The response; for `streamGenerateContent` without `alt=sse`, a list of its chunks.',
      GeminiAnswerSchema,
    ),
    events('For `streamGenerateContent?alt=sse`: the chunks of the response, or an `error`.'),
  ],
  path: {
    '*': {
      name: 'call',
      description: 'Name of a model, a colon, and the method.',
      example: 'demo:generateContent',
    },
  },
  query: { alt: Type.String({ description: '`sse`: a stream of server-sent events.' }) },
  example: { contents: [{ role: 'user', parts: [{ text: 'Hello' }] }] },
}
