import { Type } from '@sinclair/typebox'
import { optional, rolesOf, streamFlag } from '../../shared/schema.ts'

const number = optional(Type.Number())
const integer = optional(Type.Integer())
const boolean = optional(Type.Boolean())
const text = optional(Type.String())

/** Unknown parts are accepted: vLLM supports some that OpenAI does not have (`video_url`, plain strings). */
const Part = Type.Union([Type.String(), Type.Object({ type: Type.String() })], {
  errorMessage: "an object with a 'type'",
})

const Content = Type.Union([Type.String(), Type.Array(Part), Type.Null()], {
  errorMessage: 'a string or a list of content parts',
})

const ToolCall = Type.Object({ id: text, function: optional(Type.Object({ name: Type.String() })) })

const Message = Type.Object({
  role: rolesOf(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
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
 * Body of `POST /v1/chat/completions`: the members that the router uses; any others are accepted. Source: OpenAI API
 * reference, "Create chat completion", and the sampling fields that vLLM ("Extra parameters") and LM Studio add. `model` is
 * checked by the route, because `model_name` is accepted too.
 */
export const OpenaiChatBody = Type.Object({
  model: text,
  model_name: text,
  messages: Type.Array(Message, { minItems: 1, errorMessage: 'a non-empty list of messages' }),
  stream: streamFlag,
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
 * The members of a chat that the router reads even if it forwards the body unchanged. The server validates the rest: some
 * accept what OpenAI does not have (`prompt_embeds`, roles and tools of their own).
 */
export const OpenaiChatEnvelope = Type.Object({
  model: text,
  model_name: text,
  messages: Type.Unknown({ errorMessage: 'a non-empty list of messages' }),
  stream: streamFlag,
})

const chat = OpenaiChatBody.properties

const Tokens = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })

/**
 * Body of `POST /v1/completions`: the members that the router uses; any others are accepted. Source: OpenAI API reference,
 * "Create completion (legacy)", and the sampling fields of vLLM and LM Studio.
 */
export const OpenaiCompletionBody = Type.Object({
  model: chat.model,
  model_name: chat.model_name,
  prompt: Type.Union(
    [Type.String(), Type.Array(Type.String(), { minItems: 1 }), Tokens, Type.Array(Tokens, { minItems: 1 })],
    { errorMessage: 'a string, a list of strings, or lists of token ids' },
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

/** The same for a completion; some servers accept `prompt_embeds` instead of a prompt. */
export const OpenaiCompletionEnvelope = Type.Object({
  model: text,
  model_name: text,
  prompt: Type.Optional(Type.Unknown()),
  prompt_embeds: Type.Optional(Type.Unknown()),
  stream: streamFlag,
})
