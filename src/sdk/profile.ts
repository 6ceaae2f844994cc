import { type Static, Type } from '@sinclair/typebox'

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
  /** Whether the server continues a last assistant message if told so, as vLLM; others decide themselves. */
  continuesFinalMessage?: boolean
  /** Whether the server has `ttl`, after how many idle seconds it unloads the model; it is set from Ollama's `keep_alive`. */
  timeToLive?: boolean
  /** false: the server has no `custom` tools; they are sent as functions with one string parameter. */
  customTools?: false
  /** Members in which reasoning of earlier turns may be sent back; absent: it is not sent. */
  reasoningHistory?: readonly ('reasoning_content' | 'reasoning')[]
  /** Reasoning levels that the server supports, lowest first. Other levels are replaced by the nearest. */
  reasoningEfforts?: readonly string[]
}

/** System turns after the first message: sent unchanged, or as user text. */
export type SystemTurns = 'keep' | 'fold'

const optional = Type.Optional
const texts = (description: string) => optional(Type.Array(Type.String(), { description }))
const yesNo = (description: string) => optional(Type.Boolean({ description }))
const count = (description: string) => optional(Type.Integer({ minimum: 1, description }))

/** `profile` of a provider in models-config.json. An absent member means no limit. */
export const ProfileSchema = Type.Object(
  {
    thinking: optional(
      Type.Union(
        [Type.Literal('adaptive'), Type.Literal('always'), Type.Literal('budget'), Type.Literal('none')],
        {
          description:
            'How thinking is requested from an Anthropic model: adaptive (by level), always (adaptive, cannot be disabled), budget (by number of tokens), none (not supported).',
          allowed: '"adaptive", "always", "budget" or "none"',
        },
      ),
    ),
    efforts: texts('Reasoning levels of the model, lowest first; []: none.'),
    tools_with_effort: optional(
      Type.Literal('responses', {
        description:
          'responses: the model supports tools together with reasoning only in the Responses API, which is used if the server has it; otherwise reasoning is disabled.',
      }),
    ),
    thoughts_back: texts(
      'Fields of an assistant message that carry earlier reasoning: reasoning_content, reasoning; []: none is sent.',
    ),
    unsupported: texts(
      'Sampling fields that the model accepts only with their default value, such as temperature.',
    ),
    max_temperature: optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'Maximum temperature; higher values are lowered to it.',
      }),
    ),
    ranges: optional(
      Type.Record(Type.String(), Type.Array(Type.Number(), { minItems: 2, maxItems: 2 }), {
        description:
          'Minimum and maximum of sampling fields, such as {"top_p": [0, 1]}; other values are clamped.',
      }),
    ),
    temperature_with_top_p: yesNo(
      'false: the model accepts temperature or top_p, but not both; top_p is dropped.',
    ),
    prefill: yesNo(
      'false: the last message must not be from the assistant; the model is asked to continue it instead.',
    ),
    max_stops: count('Maximum number of stop sequences.'),
    max_tool_name: count('Maximum length of a tool name; longer names are shortened.'),
    tool_name_characters: optional(
      Type.Union([Type.Literal('word'), Type.Literal('any')], {
        description:
          'word: tool names consist of letters, digits, _ and -, and do not begin with a digit or -; others are changed. any: no restriction.',
        allowed: '"word" or "any"',
      }),
    ),
    property_names: optional(
      Type.Union([Type.Literal('word'), Type.Literal('any')], {
        description:
          'word: parameters of tools have names of at most 64 letters, digits, _, . and -; others are changed. any: no restriction.',
        allowed: '"word" or "any"',
      }),
    ),
    max_call_id: count('Maximum length of a tool call id; longer ids are replaced by a digest.'),
    exact_call_id: count('Tool call ids have exactly this many letters and digits.'),
    max_user: count('Maximum length of the end user id; longer ids are replaced by a digest.'),
    user_email: yesNo('false: an end user id that contains an email address is replaced by a digest.'),
    schema_keywords: texts(
      'JSON Schema keywords that the model rejects in output formats; they are moved into the description.',
    ),
    strict_keywords: texts('The same, for formats and tools with strict: true only.'),
    tool_root_keywords: texts('The same, for the top level of the parameters of a tool.'),
  },
  { description: 'Overrides the model profile that the router derives from the model name.' },
)

/** Limits that depend on the model rather than the dialect. */
export type Profile = Static<typeof ProfileSchema>

/** The flavour of a target's server, adjusted to the profile of its model. */
export function flavourOf({ type, profile }: { type: { flavour: Flavour }; profile?: Profile }): Flavour {
  const { efforts, thoughts_back: thoughts } = profile ?? {}
  if (efforts === undefined && thoughts === undefined) return type.flavour
  return {
    ...type.flavour,
    ...(efforts === undefined ? {} : { reasoningEfforts: efforts }),
    ...(thoughts === undefined ? {} : { reasoningHistory: thoughts.filter(isThoughtName) }),
  }
}

type ThoughtName = NonNullable<Flavour['reasoningHistory']>[number]

function isThoughtName(name: string): name is ThoughtName {
  return name === 'reasoning_content' || name === 'reasoning'
}
