import { isObject, type JsonObject, numberOf, objectsIn, present, textOf } from '../../lib/json/read.ts'
import type {
  EmbeddingCodec,
  EmbeddingContext,
  EmbeddingRequest,
  EmbeddingResponse,
} from '../../sdk/embedding.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { WriteRequestOptions } from '../../sdk/write-options.ts'
import { reportOllamaMembers } from '../shared/ollama-members.ts'
import { isErrorShaped, unreadable } from '../shared/upstream-error.ts'
import { reportedError } from './errors.ts'
import { listIn, memberOf, objectIn, unknownIn } from './members.ts'
import { modelResource } from './models.ts'
import { readUsage } from './response/fields-read.ts'

/**
 * `embedContent` accepts one text, `batchEmbedContents` a list of such requests, each of which repeats the model's name.
 * Source: Gemini API reference, "Embeddings".
 */
export const embedding: EmbeddingCodec = {
  readRequest,
  writeRequest,
  readResponse,
  writeResponse,
  canPassThrough: () => true,
  hasRequestedEncoding: () => true,
  isBatch,
  modelMembers: (body, model) => {
    const name = modelResource(model)
    if (isBatch(body))
      return { requests: objectsIn(body.requests).map((request) => ({ ...request, model: name })) }
    return body.model === undefined ? {} : { model: name }
  },
}

function isBatch(body: Readonly<JsonObject>): boolean {
  return Array.isArray(body.requests)
}

const knownMembers = new Set(['model', 'content', 'outputDimensionality'])

function readRequest(body: JsonObject): EmbeddingRequest {
  const requests = isBatch(body) ? objectsIn(body.requests) : [body]
  const inputs = requests.map((request, index) =>
    readContent(request.content, isBatch(body) ? `requests[${index}].content` : 'content'),
  )
  const [first = {}] = requests
  return {
    inputs,
    extras: unknownIn(first, knownMembers),
    ...present({ dimensions: numberOf(memberOf(first, 'outputDimensionality')) }),
  }
}

function readContent(content: unknown, path: string): string {
  if (typeof content === 'string') return content
  const parts = isObject(content)
    ? objectsIn(Array.isArray(content.parts) ? content.parts : [content.parts])
    : []
  if (parts.length === 0) throw badRequest(`'${path}' is required: a content with parts`, path)
  return parts
    .map((part) => {
      const text = textOf(part.text)
      if (text === undefined)
        throw badRequest(`'${path}.parts' must contain only text for this model`, `${path}.parts`)
      return text
    })
    .join('\n')
}

/** Gemini's own members; any others are reported. */
const geminiMembers = new Set(['taskType', 'title', 'autoTruncate'])

function writeRequest(request: EmbeddingRequest, { model, drop }: WriteRequestOptions): JsonObject {
  const { inputs, dimensions, truncate, ollama, extras } = request
  reportOllamaMembers(ollama, drop)
  if (truncate !== undefined) drop('truncate', 'the upstream decides whether to truncate')
  const geminiExtras = Object.entries(extras).filter(([name]) => geminiMembers.has(name))
  for (const name of Object.keys(extras))
    if (!geminiMembers.has(name)) drop(name, 'Gemini embeddings have no such field')
  const requests = inputs.map((input) => {
    if (typeof input !== 'string')
      throw badRequest('The upstream of this model accepts text, not token ids', 'input')
    return {
      model: modelResource(model),
      content: { parts: [{ text: input }] },
      ...Object.fromEntries(geminiExtras),
      ...present({ outputDimensionality: dimensions }),
    }
  })
  const [only] = requests
  return only && requests.length === 1 ? only : { requests }
}

function readResponse(body: unknown, inputs: number): EmbeddingResponse {
  if (isErrorShaped(body)) throw reportedError(body)
  if (!isObject(body)) throw unreadable('vectors')
  const single = objectIn(body, 'embedding')
  const entries = single ? [single] : listIn(body, 'embeddings')
  if (entries.length !== inputs) throw unreadable('vectors')
  return {
    vectors: entries.map(({ values }) => {
      if (!Array.isArray(values) || !values.every((value) => typeof value === 'number'))
        throw unreadable('vector')
      return values
    }),
    promptTokens: readUsage(body)?.promptTokens,
  }
}

function writeResponse({ vectors, promptTokens }: EmbeddingResponse, context: EmbeddingContext): JsonObject {
  const embeddings = vectors.map((values) => ({ values }))
  const usage = promptTokens === undefined ? {} : { usageMetadata: { promptTokenCount: promptTokens } }
  return isBatch(context.request) ? { embeddings, ...usage } : { embedding: embeddings[0], ...usage }
}
