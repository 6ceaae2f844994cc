import { Type } from '@sinclair/typebox'
import { optional, rolesOf } from '../../shared/schema.ts'

const open = { additionalProperties: true }

const ToolCall = Type.Object(
  {
    id: optional(Type.String()),
    function: Type.Object({ name: Type.String(), arguments: Type.Optional(Type.Unknown()) }, open),
  },
  open,
)

const Message = Type.Object(
  {
    role: rolesOf(['system', 'user', 'assistant', 'tool']),
    content: optional(Type.String()),
    thinking: optional(Type.String()),
    images: optional(Type.Array(Type.String())),
    tool_calls: optional(Type.Array(ToolCall)),
    tool_name: optional(Type.String()),
    tool_call_id: optional(Type.String()),
  },
  open,
)

const Tool = Type.Object(
  {
    function: Type.Object(
      {
        name: Type.String(),
        description: optional(Type.String()),
        parameters: optional(Type.Object({}, open)),
      },
      open,
    ),
  },
  open,
)

/** Numbers instead of integers: the server truncates fractions silently. */
const Options = Type.Object(
  {
    num_predict: optional(Type.Number()),
    num_ctx: optional(Type.Number()),
    num_keep: optional(Type.Number()),
    num_batch: optional(Type.Number()),
    num_gpu: optional(Type.Number()),
    main_gpu: optional(Type.Number()),
    num_thread: optional(Type.Number()),
    use_mmap: optional(Type.Boolean()),
    temperature: optional(Type.Number()),
    top_k: optional(Type.Number()),
    top_p: optional(Type.Number()),
    min_p: optional(Type.Number()),
    typical_p: optional(Type.Number()),
    repeat_last_n: optional(Type.Number()),
    repeat_penalty: optional(Type.Number()),
    presence_penalty: optional(Type.Number()),
    frequency_penalty: optional(Type.Number()),
    seed: optional(Type.Number()),
    stop: optional(Type.Array(Type.String())),
  },
  open,
)

/**
 * Body of `POST /api/chat`: the members that the router uses; any others are accepted. Without messages, it loads or unloads
 * the model. `model` is checked by the route, because `model_name` is accepted too. Format: Ollama API reference, "Generate a
 * chat completion".
 */
export const OllamaChatBody = Type.Object(
  {
    messages: optional(Type.Array(Message)),
    stream: optional(Type.Union([Type.Boolean(), Type.Literal('true'), Type.Literal('false')])),
    format: optional(Type.Union([Type.String(), Type.Object({}, open)])),
    think: optional(Type.Union([Type.Boolean(), Type.String()])),
    keep_alive: optional(Type.Union([Type.Number(), Type.String()])),
    options: optional(Options),
    tools: optional(Type.Array(Tool)),
    logprobs: optional(Type.Boolean()),
    top_logprobs: optional(Type.Number()),
  },
  open,
)

const { stream, format, think, keep_alive, options, logprobs, top_logprobs } = OllamaChatBody.properties

/**
 * Body of `POST /api/generate`: the members that the router uses; any others are accepted. Without a prompt, it loads or
 * unloads the model. Format: Ollama API reference, "Generate a completion".
 */
export const OllamaGenerateBody = Type.Object({
  model: optional(Type.String()),
  prompt: optional(Type.String()),
  suffix: optional(Type.String()),
  system: optional(Type.String()),
  template: optional(Type.String()),
  context: optional(Type.Array(Type.Number())),
  raw: optional(Type.Boolean()),
  images: optional(Type.Array(Type.String())),
  stream,
  format,
  think,
  keep_alive,
  options,
  logprobs,
  top_logprobs,
})
