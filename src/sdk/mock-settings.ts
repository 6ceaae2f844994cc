import { type Static, Type } from '@sinclair/typebox'

const MockToolCallSchema = Type.Object({
  name: Type.String({ description: 'The function to call.' }),
  arguments: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'The arguments of the call; generated from the schema of the tool if absent.',
    }),
  ),
})

export const MockSchema = Type.Object(
  {
    reply: Type.Optional(
      Type.String({ description: 'Text of the response; by default it repeats the request.' }),
    ),
    tokens_per_second: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'Tokens per second of the response; by default it is sent at once.',
      }),
    ),
    first_token_ms: Type.Optional(
      Type.Number({ minimum: 0, description: 'Milliseconds before the first token.' }),
    ),
    error_rate: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          'Share of requests that fail, 0 to 1. By default all if error_status is set, otherwise none.',
      }),
    ),
    error_status: Type.Optional(
      Type.Integer({
        minimum: 400,
        maximum: 599,
        description: 'HTTP status of failing requests; default 500.',
      }),
    ),
    tool_call: Type.Optional(
      Type.Union([Type.Boolean(), MockToolCallSchema], {
        description: 'The tool to call if a request has tools; true for the first one of the request.',
        allowed: 'true, false or an object with a name and optionally arguments',
      }),
    ),
    seed: Type.Optional(Type.Integer({ description: 'Seed that makes ids and failures reproducible.' })),
  },
  { description: 'Behaviour of the embedded mock (api_type "mock").' },
)

/** Behaviour of the embedded mock. */
export type MockSettings = Static<typeof MockSchema>
