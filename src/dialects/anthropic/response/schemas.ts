import { Type } from '@sinclair/typebox'

/** Schema of Anthropic's responses for the API documentation. Source: Anthropic API reference, "Messages". */

const count = Type.Integer({ minimum: 0 })
const optionalCount = Type.Optional(Type.Union([count, Type.Null()]))

export const MessageSchema = Type.Object(
  {
    id: Type.String(),
    type: Type.Literal('message'),
    role: Type.Literal('assistant'),
    model: Type.String(),
    content: Type.Array(
      Type.Object(
        { type: Type.String({ description: '`text`, `thinking`, `tool_use` ...' }) },
        { additionalProperties: true },
      ),
    ),
    stop_reason: Type.Union([Type.String(), Type.Null()], {
      description: '`end_turn`, `max_tokens`, `stop_sequence`, `tool_use` or `refusal`.',
    }),
    stop_sequence: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    usage: Type.Object({
      input_tokens: count,
      output_tokens: count,
      cache_read_input_tokens: optionalCount,
      cache_creation_input_tokens: optionalCount,
    }),
  },
  { title: 'AnthropicMessage' },
)
