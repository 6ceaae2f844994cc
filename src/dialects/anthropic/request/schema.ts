import { type TSchema, Type } from '@sinclair/typebox'

/** The official clients of 2026 send `null` for options that are not set. */
function optional<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

const text = optional(Type.String())
const number = optional(Type.Number())

/** Blocks are open by design: new kinds appear every few months, and are passed through to Anthropic servers. */
const Block = Type.Object({ type: Type.String() }, { errorMessage: "an object with a 'type'" })

const Content = Type.Union([Type.String(), Type.Array(Block)], {
  errorMessage: 'a string or a list of content blocks',
})

/** Some clients write roles as a title or in capitals. */
function spellingsOf(role: string) {
  return [role, role[0]?.toUpperCase() + role.slice(1), role.toUpperCase()].map((each) => Type.Literal(each))
}

const Message = Type.Object({
  role: Type.Union(['user', 'assistant', 'system'].flatMap(spellingsOf), {
    errorMessage: 'one of user, assistant, system',
  }),
  content: Content,
})

/** Tools without a `type`, or of type `custom`, are the client's own; all others run at Anthropic. */
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
  stream: Type.Optional(
    Type.Union([Type.Boolean(), Type.Null(), Type.Literal('true'), Type.Literal('false')], {
      errorMessage: 'true or false',
    }),
  ),
}

/**
 * Body of `POST /v1/messages` as far as the router uses it; whatever else a client sends is let through. Source:
 * Anthropic API reference, "Create a Message"; `output_format` is the beta's older name of `output_config.format`.
 * `model` is checked by the route, because `model_name` is accepted too.
 */
export const AnthropicMessagesBody = Type.Object({ ...members, max_tokens: Type.Integer({ minimum: 0 }) })

/** Body of `POST /v1/messages/count_tokens`: the same without a limit of the answer. */
export const AnthropicCountBody = Type.Object(members)
