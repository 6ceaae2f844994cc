import { type TSchema, Type } from '@sinclair/typebox'

/** `null` means the field is not set: the official clients send it for unset options. */
function optional<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

const number = optional(Type.Number())
const integer = optional(Type.Integer())
const boolean = optional(Type.Boolean())
const text = optional(Type.String())

/** Some clients write roles as a title or in capitals. */
function spellingsOf(role: string) {
  return [role, role[0]?.toUpperCase() + role.slice(1), role.toUpperCase()].map((each) => Type.Literal(each))
}

const Role = Type.Union(
  ['system', 'developer', 'user', 'assistant', 'tool', 'function'].flatMap(spellingsOf),
  { errorMessage: 'one of system, developer, user, assistant, tool, function' },
)

/** Parts are open by design: vLLM reads kinds that OpenAI does not have (`video_url`, plain strings). */
const Part = Type.Union([Type.String(), Type.Object({ type: Type.String() })], {
  errorMessage: "an object with a 'type'",
})

const Content = Type.Union([Type.String(), Type.Array(Part), Type.Null()], {
  errorMessage: 'a string or a list of content parts',
})

const ToolCall = Type.Object({ id: text, function: optional(Type.Object({ name: Type.String() })) })

const Message = Type.Object({
  role: Role,
  content: Type.Optional(Content),
  name: text,
  tool_calls: optional(Type.Array(ToolCall)),
  function_call: optional(Type.Object({ name: Type.String() })),
  tool_call_id: text,
  refusal: text,
})

const FunctionDefinition = Type.Object({
  name: Type.String({ minLength: 1 }),
  description: text,
  parameters: optional(Type.Object({})),
  strict: boolean,
})

const Tool = Type.Object({ type: text, function: optional(FunctionDefinition) })

/**
 * Body of `POST /v1/chat/completions` as far as the router uses it; whatever else a client sends is let through.
 * Source: OpenAI API reference, "Create chat completion", and the sampling fields that vLLM ("Extra parameters") and
 * LM Studio add. `model` is checked by the route, because `model_name` is accepted too.
 */
export const OpenaiChatBody = Type.Object({
  model: text,
  model_name: text,
  messages: Type.Array(Message, { minItems: 1, errorMessage: 'a non-empty list of messages' }),
  stream: Type.Optional(
    Type.Union([Type.Boolean(), Type.Null(), Type.Literal('true'), Type.Literal('false')], {
      errorMessage: 'true or false',
    }),
  ),
  stream_options: optional(Type.Object({ include_usage: boolean })),
  temperature: number,
  top_p: number,
  top_k: integer,
  min_p: number,
  typical_p: number,
  repetition_penalty: number,
  repeat_penalty: number,
  presence_penalty: number,
  frequency_penalty: number,
  max_tokens: integer,
  max_completion_tokens: integer,
  n: optional(Type.Integer({ minimum: 1, maximum: 128 })),
  seed: integer,
  stop: optional(Type.Union([Type.String(), Type.Array(Type.String())])),
  logit_bias: optional(Type.Record(Type.String(), Type.Number())),
  logprobs: boolean,
  top_logprobs: integer,
  tools: optional(Type.Array(Tool)),
  tool_choice: optional(Type.Union([Type.String(), Type.Object({})])),
  parallel_tool_calls: boolean,
  functions: optional(Type.Array(FunctionDefinition)),
  function_call: optional(Type.Union([Type.String(), Type.Object({ name: Type.String() })])),
  response_format: optional(Type.Object({ type: Type.String() })),
  reasoning_effort: text,
  prompt_cache_key: text,
  verbosity: text,
  user: text,
  options: optional(Type.Object({})),
  keep_alive: optional(Type.Union([Type.String(), Type.Number()])),
  think: optional(Type.Union([Type.Boolean(), Type.String()])),
  format: optional(Type.Union([Type.String(), Type.Object({})])),
})

/**
 * What the router itself reads of a chat. A server of this dialect gets the body as it is, and judges the
 * rest: servers read forms that OpenAI does not have (`prompt_embeds`, roles and tools of their own).
 */
export const OpenaiChatEnvelope = Type.Object({
  model: text,
  model_name: text,
  messages: Type.Unknown({ errorMessage: 'a non-empty list of messages' }),
  stream: OpenaiChatBody.properties.stream,
})

const chat = OpenaiChatBody.properties

const Tokens = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })

/**
 * Body of `POST /v1/completions` as far as the router uses it; whatever else a client sends is let through.
 * Source: OpenAI API reference, "Create completion (legacy)", and the sampling fields of vLLM and LM Studio.
 */
export const OpenaiCompletionBody = Type.Object({
  model: chat.model,
  model_name: chat.model_name,
  prompt: Type.Union(
    [Type.String(), Type.Array(Type.String(), { minItems: 1 }), Tokens, Type.Array(Tokens, { minItems: 1 })],
    { errorMessage: 'a string, a list of strings, or lists of token numbers' },
  ),
  suffix: chat.user,
  echo: chat.stream_options.anyOf[0].properties.include_usage,
  best_of: chat.max_tokens,
  stream: chat.stream,
  stream_options: chat.stream_options,
  temperature: chat.temperature,
  top_p: chat.top_p,
  top_k: chat.top_k,
  min_p: chat.min_p,
  typical_p: chat.typical_p,
  repetition_penalty: chat.repetition_penalty,
  repeat_penalty: chat.repeat_penalty,
  presence_penalty: chat.presence_penalty,
  frequency_penalty: chat.frequency_penalty,
  max_tokens: chat.max_tokens,
  n: chat.n,
  seed: chat.seed,
  stop: chat.stop,
  logit_bias: chat.logit_bias,
  logprobs: chat.top_logprobs,
  user: chat.user,
})

/** What the router itself reads of a completion; some servers take `prompt_embeds` in place of a prompt. */
export const OpenaiCompletionEnvelope = Type.Object({
  model: text,
  model_name: text,
  prompt: Type.Optional(Type.Unknown()),
  prompt_embeds: Type.Optional(Type.Unknown()),
  stream: OpenaiChatBody.properties.stream,
})
