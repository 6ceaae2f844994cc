import { Type } from '@sinclair/typebox'
import { optional, rolesOf, streamFlag } from '../../shared/schema.ts'

const text = optional(Type.String())
const number = optional(Type.Number())

/** Unknown blocks are accepted: new types appear every few months, and Anthropic servers receive them unchanged. */
const Block = Type.Object({ type: Type.String() }, { errorMessage: "an object with a 'type'" })

const Content = Type.Union([Type.String(), Type.Array(Block)], {
  errorMessage: 'a string or a list of content blocks',
})

const Message = Type.Object({ role: rolesOf(['user', 'assistant', 'system']), content: Content })

/** Tools without a `type`, or of type `custom`, are defined by the client, all others by Anthropic. */
const Tool = Type.Object({
  type: text,
  name: text,
  description: text,
  input_schema: optional(Type.Object({})),
  strict: optional(Type.Boolean()),
})

const Thinking = Type.Object({ type: Type.String(), budget_tokens: optional(Type.Integer({ minimum: 1 })) })

const OutputFormat = Type.Object({ type: Type.String(), schema: optional(Type.Object({})) })

const members = {
  model: text,
  model_name: text,
  messages: Type.Array(Message, { minItems: 1, errorMessage: 'a non-empty list of messages' }),
  system: optional(
    Type.Union([Type.String(), Type.Array(Block)], { errorMessage: 'a string or a list of text blocks' }),
  ),
  stop_sequences: optional(Type.Array(Type.String())),
  temperature: number,
  top_p: number,
  top_k: optional(Type.Integer()),
  tools: optional(Type.Array(Tool)),
  tool_choice: optional(
    Type.Union([
      Type.Object({ type: Type.String(), name: text, disable_parallel_tool_use: optional(Type.Boolean()) }),
      Type.String(),
    ]),
  ),
  thinking: optional(Thinking),
  output_config: optional(Type.Object({ effort: text, format: optional(OutputFormat) })),
  output_format: optional(OutputFormat),
  metadata: optional(Type.Object({ user_id: text })),
  stream: streamFlag,
}

/**
 * Body of `POST /v1/messages`: the members that the router uses; any others are accepted. Source: Anthropic API reference,
 * "Create a Message"; `output_format` is the name of `output_config.format` in the beta. `model` is checked by the route,
 * because `model_name` is accepted too.
 */
export const AnthropicMessagesBody = Type.Object({ ...members, max_tokens: Type.Integer({ minimum: 0 }) })

/** Body of `POST /v1/messages/count_tokens`: the same without `max_tokens`. */
export const AnthropicCountBody = Type.Object(members)
