import { type Static, Type } from '@sinclair/typebox'

const MockToolCallSchema = Type.Object({
  name: Type.String({ description: 'The function to call.' }),
  arguments: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'The arguments of the call; made up from the schema of the tool when absent.',
    }),
  ),
})

export const MockSchema = Type.Object(
  {
    reply: Type.Optional(
      Type.String({ description: 'What to answer. When absent, the answer tells what was asked.' }),
    ),
    tokens_per_second: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'Speed of the answer. When absent, it comes at once.',
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
          'Share of the calls that fail, 0 to 1. When absent: all with error_status, none without.',
      }),
    ),
    error_status: Type.Optional(
      Type.Integer({
        minimum: 400,
        maximum: 599,
        description: 'HTTP status of the calls that fail; 500 when absent.',
      }),
    ),
    tool_call: Type.Optional(
      Type.Union([Type.Boolean(), MockToolCallSchema], {
        description: 'The tool to call when a request brings tools; true for the first of the request.',
        allowed: 'true, false or an object with a name and, if need be, arguments',
      }),
    ),
    seed: Type.Optional(Type.Integer({ description: 'Makes ids and failures repeatable.' })),
  },
  { description: 'How the embedded model answers (api_type "mock").' },
)

/** How the embedded mock answers. */
export type MockSettings = Static<typeof MockSchema>
