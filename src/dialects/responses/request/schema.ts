import { Type } from '@sinclair/typebox'
import { optional, streamFlag } from '../../shared/schema.ts'

const number = optional(Type.Number())
const boolean = optional(Type.Boolean())
const text = optional(Type.String())

const Item = Type.Object({ type: text, role: text }, { errorMessage: 'an input item' })

const Tool = Type.Object({ type: Type.String(), name: text })

/**
 * Body of `POST /v1/responses`: the members that the router uses; any others are accepted. Items and tools are checked by
 * their readers. Source: OpenAI API reference, "Create a model response". `model` is checked by the route, because
 * `model_name` is accepted too.
 */
export const ResponsesBody = Type.Object({
  model: text,
  model_name: text,
  input: Type.Optional(
    Type.Union([Type.String(), Type.Array(Item), Type.Null()], {
      errorMessage: 'a string or a list of input items',
    }),
  ),
  instructions: text,
  stream: streamFlag,
  stream_options: optional(Type.Object({ include_obfuscation: boolean })),
  max_output_tokens: optional(Type.Integer({ minimum: 1 })),
  temperature: number,
  top_p: number,
  top_logprobs: optional(Type.Integer({ minimum: 0, maximum: 20 })),
  tools: optional(Type.Array(Tool)),
  tool_choice: optional(Type.Union([Type.String(), Type.Object({})])),
  parallel_tool_calls: boolean,
  text: optional(Type.Object({ format: optional(Type.Object({ type: Type.String() })), verbosity: text })),
  reasoning: optional(Type.Object({ effort: text, summary: text, generate_summary: text })),
  include: optional(Type.Array(Type.String())),
  store: boolean,
  previous_response_id: text,
  conversation: optional(Type.Union([Type.String(), Type.Object({})])),
  prompt: optional(Type.Object({})),
  background: boolean,
  truncation: text,
  metadata: optional(Type.Object({})),
  user: text,
  prompt_cache_key: text,
})

/** The members that the router reads even if it forwards the body unchanged; the server validates the rest. */
export const ResponsesEnvelope = Type.Object({
  model: text,
  model_name: text,
  stream: streamFlag,
  input: Type.Optional(Type.Unknown()),
  store: boolean,
  previous_response_id: text,
})
