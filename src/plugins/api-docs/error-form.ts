import { type TSchema, Type } from '@sinclair/typebox'

const nullable = (schema: TSchema, description: string) => Type.Union([schema, Type.Null()], { description })

const openai = Type.Object(
  {
    error: Type.Object({
      message: Type.String(),
      type: Type.String({
        description: 'Such as `invalid_request_error`, `rate_limit_error`, `server_error`.',
      }),
      param: nullable(Type.String(), 'The invalid field.'),
      code: nullable(Type.String(), 'Such as `model_not_found`, `upstream_truncated`.'),
    }),
    status: Type.Optional(Type.Boolean({ description: 'Outside `/v1`: false, for older clients.' })),
    body: Type.Optional(
      Type.Union([Type.String(), Type.Object({ error: Type.String(), message: Type.String() })], {
        description:
          'Outside `/v1`: the message again, for older clients; an object where arguments are missing.',
      }),
    ),
  },
  { description: 'An error in OpenAI format.' },
)

const ollama = Type.Object(
  { error: Type.String() },
  { description: 'An error in Ollama format; in a stream, the last line.' },
)

const anthropic = Type.Object(
  {
    type: Type.Literal('error'),
    error: Type.Object({
      type: Type.String({
        description: 'Such as `invalid_request_error`, `not_found_error`, `overloaded_error`.',
      }),
      message: Type.String(),
    }),
    request_id: Type.Optional(Type.String()),
  },
  { description: 'An error in Anthropic format.' },
)

const gemini = Type.Object(
  {
    error: Type.Object({
      code: Type.Integer({ description: 'The HTTP status.' }),
      message: Type.String(),
      status: Type.String({ description: 'Such as `INVALID_ARGUMENT`, `NOT_FOUND`, `UNAVAILABLE`.' }),
      details: Type.Optional(Type.Array(Type.Object({ '@type': Type.String() }))),
    }),
  },
  { description: 'An error in Gemini format.' },
)

const problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.Optional(
      Type.String({ description: 'Such as `not_found`, `version_mismatch`, `invalid_value`.' }),
    ),
    param: Type.Optional(Type.String({ description: 'The invalid field.' })),
  },
  { description: 'A problem document (RFC 9457).' },
)

interface ErrorForm {
  name: string
  schema: TSchema
  /** Content type; absent: JSON. */
  type?: string
}

const forms: Readonly<Record<string, ErrorForm>> = {
  problem: { name: 'Problem', schema: problem, type: 'application/problem+json' },
  openai: { name: 'OpenaiError', schema: openai },
  responses: { name: 'OpenaiError', schema: openai },
  ollama: { name: 'OllamaError', schema: ollama },
  anthropic: { name: 'AnthropicError', schema: anthropic },
  gemini: { name: 'GeminiError', schema: gemini },
}

/** Error schema of a dialect. A dialect that an extension adds has none. */
export function errorForm(dialect: string): ErrorForm {
  return forms[dialect] ?? { name: 'Error', schema: Type.Object({}) }
}
