import { Type } from '@sinclair/typebox'
import {
  booleanOf,
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  present,
  tokensOf,
} from '../../lib/json/read.ts'
import { bodyAssertion } from '../../sdk/checks/body.ts'
import type {
  EmbeddingCodec,
  EmbeddingContext,
  EmbeddingInput,
  EmbeddingRequest,
  EmbeddingResponse,
} from '../../sdk/embedding.ts'
import { badRequest } from '../../sdk/errors.ts'
import type { WriteRequestOptions } from '../../sdk/write-options.ts'
import { unknownMembers } from '../shared/dropped-fields.ts'
import { reportOllamaMembers } from '../shared/ollama-members.ts'
import { optional } from '../shared/schema.ts'
import { isErrorShaped, reportedError, unreadable } from '../shared/upstream-error.ts'
import { vectorFromBase64, vectorToBase64 } from '../shared/vectors.ts'

const Tokens = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })

/** Body of `POST /v1/embeddings`. Source: OpenAI API reference, "Create embeddings". */
export const OpenaiEmbeddingBody = Type.Object({
  model: optional(Type.String()),
  model_name: optional(Type.String()),
  input: Type.Union(
    [Type.String(), Type.Array(Type.String(), { minItems: 1 }), Tokens, Type.Array(Tokens, { minItems: 1 })],
    { errorMessage: 'a string, a list of strings, a list of token ids, or a list of such lists' },
  ),
  encoding_format: optional(
    Type.Union([Type.Literal('float'), Type.Literal('base64')], { errorMessage: '"float" or "base64"' }),
  ),
  dimensions: optional(Type.Integer({ minimum: 1 })),
  truncate: optional(Type.Boolean()),
  user: optional(Type.String()),
})

/** Members that the router itself reads; a server of this dialect validates the rest. */
export const OpenaiEmbeddingEnvelope = Type.Object({
  model: optional(Type.String()),
  model_name: optional(Type.String()),
  input: Type.Optional(Type.Unknown()),
  messages: Type.Optional(Type.Unknown()),
})

const checkRequest = bodyAssertion(OpenaiEmbeddingBody)

export const embedding: EmbeddingCodec = {
  readRequest,
  writeRequest,
  readResponse,
  writeResponse,
  canPassThrough: () => true,
  hasRequestedEncoding: (answer, request) => {
    const form = request.encoding_format === 'base64' ? 'string' : 'object'
    return isObject(answer) && objectsIn(answer.data).every(({ embedding: vector }) => typeof vector === form)
  },
}

function readRequest(body: JsonObject): EmbeddingRequest {
  checkRequest(body)
  return {
    inputs: readInputs(body.input),
    extras: unknownMembers(body, OpenaiEmbeddingBody.properties),
    ...present({
      dimensions: numberOf(body.dimensions),
      truncate: booleanOf(body.truncate),
      user: filledTextOf(body.user),
    }),
  }
}

/** A list of numbers is one input; every other list has one input per entry. */
function readInputs(input: unknown): EmbeddingInput[] {
  const list = Array.isArray(input) && !input.every((item) => typeof item === 'number') ? input : [input]
  return list.map((item: unknown, index): EmbeddingInput => {
    if (typeof item === 'string') return item
    if (isTokens(item)) return item
    throw badRequest(`'input[${index}]' must be a string or a list of token ids`, 'input')
  })
}

function isTokens(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'number')
}

/** `float` is requested explicitly: some servers default to base64, others support only float. */
function writeRequest(request: EmbeddingRequest, { model, drop }: WriteRequestOptions): JsonObject {
  const { inputs, dimensions, truncate, user, ollama, extras } = request
  reportOllamaMembers(ollama, drop)
  for (const name of Object.keys(extras)) drop(name, 'OpenAI embeddings have no such field')
  if (truncate !== undefined) drop('truncate', 'the upstream decides whether to truncate')
  const [only] = inputs
  return {
    model,
    input: inputs.length === 1 && typeof only === 'string' ? only : inputs,
    encoding_format: 'float',
    ...present({ dimensions, user }),
  }
}

function readResponse(body: unknown, inputs: number): EmbeddingResponse {
  if (isErrorShaped(body)) throw reportedError(body)
  const data = isObject(body) ? objectsIn(body.data) : []
  if (!isObject(body) || data.length !== inputs) throw unreadable('vectors')
  const sorted = data.toSorted((one, other) => (numberOf(one.index) ?? 0) - (numberOf(other.index) ?? 0))
  const usage = isObject(body.usage) ? body.usage : {}
  return {
    vectors: sorted.map(({ embedding: vector }) => readVector(vector)),
    promptTokens: tokensOf(usage.prompt_tokens) ?? tokensOf(usage.total_tokens),
  }
}

function readVector(vector: unknown): number[] {
  const values = typeof vector === 'string' ? vectorFromBase64(vector) : vector
  if (!Array.isArray(values) || values.length === 0) throw unreadable('vector')
  if (!values.every((value) => typeof value === 'number')) throw unreadable('vector')
  return values
}

function writeResponse(response: EmbeddingResponse, { model, request }: EmbeddingContext): JsonObject {
  const write = request.encoding_format === 'base64' ? vectorToBase64 : (vector: readonly number[]) => vector
  const tokens = response.promptTokens ?? 0
  return {
    object: 'list',
    data: response.vectors.map((vector, index) => ({ object: 'embedding', index, embedding: write(vector) })),
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  }
}
