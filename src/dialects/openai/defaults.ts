import { isObject, type JsonObject, numberOf } from '../../lib/json/read.ts'

/** Fields of Ollama's `options` by the names they have here. What is not listed has no counterpart that all know. */
const nameOfOption: Readonly<Record<string, string>> = {
  temperature: 'temperature',
  top_p: 'top_p',
  top_k: 'top_k',
  min_p: 'min_p',
  seed: 'seed',
  stop: 'stop',
  presence_penalty: 'presence_penalty',
  frequency_penalty: 'frequency_penalty',
  num_predict: 'max_tokens',
}

/** Two names of one limit: a default for either must not stand beside the other. */
const limitNames: readonly string[] = ['max_tokens', 'max_completion_tokens']

/**
 * The operator's defaults for what the body leaves out, as the members to set. Ollama's `options` are understood, as
 * one set of defaults may serve targets of both dialects; what only Ollama has is passed over.
 */
export function missingDefaults(body: JsonObject, defaults: JsonObject): JsonObject {
  const members: JsonObject = {}
  for (const [name, value] of Object.entries({ ...fromOptions(defaults.options), ...defaults })) {
    if (name === 'options' || name === 'keep_alive' || isAbsent(value)) continue
    if (limitNames.includes(name) && limitNames.some((limit) => !isAbsent(body[limit] ?? members[limit])))
      continue
    const sent = body[name]
    // An error on vLLM for an answer that is not streamed.
    if (name === 'stream_options' && isAbsent(sent) && body.stream !== true) continue
    if (isAbsent(sent)) members[name] = value
    else if (isObject(sent) && isObject(value)) Object.assign(members, filledUp(name, sent, value))
  }
  return members
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

/** Objects that name their own kind (`response_format`, `tool_choice`) are one value and are not mixed. */
function filledUp(name: string, sent: JsonObject, defaults: JsonObject): JsonObject {
  if ('type' in sent) return {}
  const missing = Object.entries(defaults).filter(([member]) => isAbsent(sent[member]))
  return missing.length === 0 ? {} : { [name]: { ...sent, ...Object.fromEntries(missing) } }
}

/** Ollama says "no limit" and "random" with negative numbers, which other servers refuse. */
function fromOptions(options: unknown): JsonObject {
  if (!isObject(options)) return {}
  const known: JsonObject = {}
  for (const [option, value] of Object.entries(options)) {
    const name = Object.hasOwn(nameOfOption, option) ? nameOfOption[option] : undefined
    const means =
      (option === 'num_predict' || option === 'seed') && (numberOf(value) ?? 0) < 0 ? undefined : value
    if (name !== undefined && means !== undefined) known[name] = means
  }
  return known
}
