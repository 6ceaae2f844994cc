import { Type } from '@sinclair/typebox'
import { isObject, type JsonObject, tokensOf } from '../../lib/json/read.ts'
import { bodyAssertion } from '../../sdk/checks/body.ts'
import type {
  EmbeddingCodec,
  EmbeddingContext,
  EmbeddingRequest,
  EmbeddingResponse,
} from '../../sdk/embedding.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { WriteRequestOptions } from '../../sdk/write-options.ts'
import { unknownMembers } from '../shared/dropped-fields.ts'
import { readOllamaMembers } from '../shared/ollama-members.ts'
import { optional } from '../shared/schema.ts'
import { isErrorShaped, reportedError, unreadable } from '../shared/upstream-error.ts'
import { unitVector } from '../shared/vectors.ts'
import { missingDefaults } from './request/sampling.ts'
import { readTimings } from './response/fields-read.ts'

const shared = {
  model: optional(Type.String()),
  model_name: optional(Type.String()),
  keep_alive: optional(Type.Union([Type.Number(), Type.String()])),
  options: optional(Type.Object({})),
}

/** Body of `POST /api/embed`. Format: Ollama API reference, "Generate embeddings". */
export const OllamaEmbedBody = Type.Object({
  ...shared,
  input: Type.Union([Type.String(), Type.Array(Type.String())], {
    errorMessage: 'a string or a list of strings',
  }),
  truncate: optional(Type.Boolean()),
  dimensions: optional(Type.Integer({ minimum: 1 })),
})

/** Body of `POST /api/embeddings`, the older form. Format: Ollama API reference, "Generate Embedding". */
export const OllamaEmbeddingsBody = Type.Object({ ...shared, prompt: Type.String() })

/** Members that the router itself reads; an Ollama server validates the rest. */
export const OllamaEmbedEnvelope = Type.Object({ model: shared.model, model_name: shared.model_name })

const checkNewer = bodyAssertion(OllamaEmbedBody)
const checkOlder = bodyAssertion(OllamaEmbeddingsBody)

const knownMembers = { ...OllamaEmbedBody.properties, ...OllamaEmbeddingsBody.properties }

/**
 * Both forms of Ollama: `prompt` returns one vector as the model generated it, `input` a list of vectors of length 1. Upstream
 * requests use the newer form, `input`.
 */
export const embedding: EmbeddingCodec = {
  readRequest,
  writeRequest,
  readResponse,
  writeResponse,
  canPassThrough: (request) => !isOlderForm(request),
  hasRequestedEncoding: () => true,
  // Ollama truncates long inputs by default, and the vector of a truncated text looks like any other.
  translatedMembers: { truncate: false },
  missingDefaults: (body, { keep_alive, options }) => missingDefaults(body, { keep_alive, options }),
}

function isOlderForm(request: Readonly<JsonObject>): boolean {
  return typeof request.prompt === 'string' && (request.input ?? undefined) === undefined
}

function readRequest(body: JsonObject): EmbeddingRequest {
  if (isOlderForm(body)) checkOlder(body)
  else checkNewer(body)
  const input: unknown = isOlderForm(body) ? body.prompt : body.input
  const list: unknown[] = Array.isArray(input) ? input : [input]
  const { keep_alive: keepAlive, options, dimensions, truncate } = body
  const ollama = readOllamaMembers(keepAlive, isObject(options) ? options : {})
  return {
    // Ollama returns no vector for an empty text.
    inputs: list.filter((text) => typeof text === 'string').filter((text) => list.length > 1 || text !== ''),
    ...(typeof dimensions === 'number' ? { dimensions } : {}),
    ...(typeof truncate === 'boolean' ? { truncate } : {}),
    ...(ollama === undefined ? {} : { ollama }),
    extras: unknownMembers(body, knownMembers),
  }
}

function writeRequest(request: EmbeddingRequest, { model, drop }: WriteRequestOptions): JsonObject {
  const { inputs, dimensions, truncate, ollama, extras } = request
  const texts = inputs.filter((input) => typeof input === 'string')
  if (texts.length < inputs.length) {
    throw badRequest("The upstream of this model accepts text only; 'input' contains token ids", 'input')
  }
  for (const name of Object.keys(extras)) drop(name, 'Ollama has no such field')
  return {
    model,
    input: texts,
    ...(truncate === undefined ? {} : { truncate }),
    ...(dimensions === undefined ? {} : { dimensions }),
    ...(ollama?.keepAlive === undefined ? {} : { keep_alive: ollama.keepAlive }),
    ...(ollama?.options === undefined ? {} : { options: ollama.options }),
  }
}

function readResponse(body: unknown, inputs: number): EmbeddingResponse {
  if (!isObject(body)) throw unreadable('answer')
  if (isErrorShaped(body)) throw reportedError(body)
  const { embeddings, prompt_eval_count: counted } = body
  if (!Array.isArray(embeddings) || embeddings.length !== inputs) throw unreadable('embeddings')
  const timings = readTimings(body)
  return {
    vectors: embeddings.map(readVector),
    promptTokens: tokensOf(counted),
    ...(timings ? { timings } : {}),
  }
}

function readVector(vector: unknown): number[] {
  if (!Array.isArray(vector) || vector.length === 0) throw unreadable('embedding')
  if (!vector.every((value) => typeof value === 'number')) throw unreadable('embedding')
  return vector
}

function writeResponse(
  response: EmbeddingResponse,
  { model, request, elapsedMs }: EmbeddingContext,
): JsonObject {
  if (isOlderForm(request)) return { embedding: response.vectors[0] ?? [] }
  const { totalNs = elapsedMs() * 1e6, loadNs } = response.timings ?? {}
  return {
    model,
    embeddings: response.vectors.map(unitVector),
    total_duration: Math.max(1, Math.round(totalNs)),
    ...(loadNs === undefined ? {} : { load_duration: loadNs }),
    ...(response.promptTokens === undefined ? {} : { prompt_eval_count: response.promptTokens }),
  }
}
