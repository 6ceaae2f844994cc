import { type TSchema, Type } from '@sinclair/typebox'

/** The JSON decoder of Ollama's server treats `null` as absent. */
const Maybe = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

const open = { additionalProperties: true }

/** Some clients write roles as a title or in capitals. */
function spellingsOf(role: string) {
  return [role, role[0]?.toUpperCase() + role.slice(1), role.toUpperCase()].map((each) => Type.Literal(each))
}

const ToolCall = Type.Object(
  {
    id: Maybe(Type.String()),
    function: Type.Object({ name: Type.String(), arguments: Type.Optional(Type.Unknown()) }, open),
  },
  open,
)

const Message = Type.Object(
  {
    role: Type.Union(['system', 'user', 'assistant', 'tool'].flatMap(spellingsOf)),
    content: Maybe(Type.String()),
    thinking: Maybe(Type.String()),
    images: Maybe(Type.Array(Type.String())),
    tool_calls: Maybe(Type.Array(ToolCall)),
    tool_name: Maybe(Type.String()),
    tool_call_id: Maybe(Type.String()),
  },
  open,
)

const Tool = Type.Object(
  {
    function: Type.Object(
      { name: Type.String(), description: Maybe(Type.String()), parameters: Maybe(Type.Object({}, open)) },
      open,
    ),
  },
  open,
)

/** Numbers instead of integers: the server truncates fractions silently. */
const Options = Type.Object(
  {
    num_predict: Maybe(Type.Number()),
    num_ctx: Maybe(Type.Number()),
    num_keep: Maybe(Type.Number()),
    num_batch: Maybe(Type.Number()),
    num_gpu: Maybe(Type.Number()),
    main_gpu: Maybe(Type.Number()),
    num_thread: Maybe(Type.Number()),
    use_mmap: Maybe(Type.Boolean()),
    temperature: Maybe(Type.Number()),
    top_k: Maybe(Type.Number()),
    top_p: Maybe(Type.Number()),
    min_p: Maybe(Type.Number()),
    typical_p: Maybe(Type.Number()),
    repeat_last_n: Maybe(Type.Number()),
    repeat_penalty: Maybe(Type.Number()),
    presence_penalty: Maybe(Type.Number()),
    frequency_penalty: Maybe(Type.Number()),
    seed: Maybe(Type.Number()),
    stop: Maybe(Type.Array(Type.String())),
  },
  open,
)

/**
 * Body of `POST /api/chat`, as far as the router uses it; unknown members are welcome. No messages is a request to
 * load or unload the model. `model` is checked by the route, which knows its other name.
 * Format: Ollama API reference, "Generate a chat completion".
 */
export const OllamaChatBody = Type.Object(
  {
    messages: Maybe(Type.Array(Message)),
    stream: Maybe(Type.Union([Type.Boolean(), Type.Literal('true'), Type.Literal('false')])),
    format: Maybe(Type.Union([Type.String(), Type.Object({}, open)])),
    think: Maybe(Type.Union([Type.Boolean(), Type.String()])),
    keep_alive: Maybe(Type.Union([Type.Number(), Type.String()])),
    options: Maybe(Options),
    tools: Maybe(Type.Array(Tool)),
    logprobs: Maybe(Type.Boolean()),
    top_logprobs: Maybe(Type.Number()),
  },
  open,
)

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

const { stream, format, think, keep_alive, options, logprobs, top_logprobs } = OllamaChatBody.properties

/**
 * Body of `POST /api/generate`, as far as the router uses it; unknown members are welcome. An empty prompt is a request
 * to load or unload the model. Format: Ollama API reference, "Generate a completion".
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
