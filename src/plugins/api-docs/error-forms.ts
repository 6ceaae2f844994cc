import { type TSchema, Type } from '@sinclair/typebox'

const nullable = (schema: TSchema, description: string) => Type.Union([schema, Type.Null()], { description })

const openai = Type.Object(
  {
    error: Type.Object({
      message: Type.String(),
      type: Type.String({
        description: 'Such as `invalid_request_error`, `rate_limit_error`, `server_error`.',
      }),
      param: nullable(Type.String(), 'The field at fault.'),
      code: nullable(Type.String(), 'Such as `model_not_found`, `upstream_truncated`.'),
    }),
    status: Type.Optional(Type.Boolean({ description: 'Outside `/v1`: false, for older clients.' })),
    body: Type.Optional(Type.String({ description: 'Outside `/v1`: the message again, for older clients.' })),
  },
  { description: 'An error as OpenAI writes it.' },
)

const ollama = Type.Object(
  { error: Type.String() },
  { description: 'An error as Ollama writes it; in a stream its last line.' },
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
  { description: 'An error as Anthropic writes it.' },
)

const forms: Readonly<Record<string, { name: string; schema: TSchema }>> = {
  openai: { name: 'OpenaiError', schema: openai },
  responses: { name: 'OpenaiError', schema: openai },
  ollama: { name: 'OllamaError', schema: ollama },
  anthropic: { name: 'AnthropicError', schema: anthropic },
}

/** The form of the errors of a dialect; of one that an extension brings nothing is known. */
export function errorForm(dialect: string): { name: string; schema: TSchema } {
  return forms[dialect] ?? { name: 'Error', schema: Type.Object({}) }
}
