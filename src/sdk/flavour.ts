/**
 * How a server differs from the plain form of its dialect. An absent member means no difference.
 * Sources: the vendors' API references; see the provider file that sets each one.
 */
export interface Flavour {
  /** Wire name of the multiplicative repetition penalty; absent: the server has none. */
  repetitionPenalty?: 'repetition_penalty' | 'repeat_penalty'
  /** Sampling fields beyond OpenAI's that the server supports, by wire name. */
  samplingExtensions?: readonly ('top_k' | 'min_p' | 'typical_p')[]
  /** `max_completion_tokens` for OpenAI itself, whose newer models reject `max_tokens`. */
  maxTokensField?: 'max_tokens' | 'max_completion_tokens'
  /** Whether the server supports `prompt_cache_key` and `verbosity`, as OpenAI's own does. */
  promptOptions?: boolean
  /** Whether the server supports the role `developer`; others get `system`. */
  developerRole?: boolean
  /** Whether the server supports `response_format: {type: "json_object"}`; others get an open JSON schema. */
  jsonObject?: boolean
  /** `value`: `response_format` is `{type: "json", value: schema}`, TGI's own form. */
  schemaIn?: 'value'
  /** Whether `tool_choice` may name a function; others get `required` with only that tool. */
  namedToolChoice?: boolean
  /** false: the server has no `custom` tools; they are sent as functions with one string parameter. */
  customTools?: false
  /** Members in which reasoning of earlier turns may be sent back; absent: it is not sent. */
  reasoningHistory?: readonly ('reasoning_content' | 'reasoning')[]
  /** Reasoning levels that the server supports, lowest first. Other levels are replaced by the nearest. */
  reasoningEfforts?: readonly string[]
}

/** System turns after the first message: sent unchanged, or as user text. */
export type SystemTurns = 'keep' | 'fold'
