import { isObject, type JsonObject, numberOf } from '../../lib/json/read.ts'

/** Sampling fields of the other dialects by the names they have here; undefined: there is no such field. */
const names: Readonly<Record<string, string | undefined>> = {
  max_tokens: 'max_output_tokens',
  max_completion_tokens: 'max_output_tokens',
  num_predict: 'max_output_tokens',
  options: undefined,
  keep_alive: undefined,
  stream_options: undefined,
  top_k: undefined,
  min_p: undefined,
  typical_p: undefined,
  seed: undefined,
  stop: undefined,
  n: undefined,
  presence_penalty: undefined,
  frequency_penalty: undefined,
  repeat_penalty: undefined,
  repetition_penalty: undefined,
  logit_bias: undefined,
  logprobs: undefined,
  response_format: undefined,
}

/**
 * The operator's defaults for what the body leaves out, as the members to set. One set of defaults may serve targets of
 * several dialects, so their names are understood, and what this API lacks is passed over.
 */
export function missingDefaults(body: JsonObject, defaults: JsonObject): JsonObject {
  const options = isObject(defaults.options) ? defaults.options : {}
  const shared = { num_predict: options.num_predict, temperature: options.temperature, top_p: options.top_p }
  const members: JsonObject = {}
  // What stands outside of `options` is the plainer word, and comes first.
  for (const [given, value] of [...Object.entries(defaults), ...Object.entries(shared)]) {
    const [name, means] = meaningOf(given, value)
    if (name === undefined || isAbsent(means)) continue
    const sent = members[name] ?? body[name]
    if (isAbsent(sent)) members[name] = means
    else if (isObject(sent) && isObject(means)) Object.assign(members, filledUp(name, sent, means))
  }
  return members
}

/** Objects that name their own kind (`tool_choice`) are one value and are not mixed. */
function filledUp(name: string, sent: JsonObject, defaults: JsonObject): JsonObject {
  if ('type' in sent) return {}
  const missing = Object.entries(defaults).filter(([member]) => isAbsent(sent[member]))
  return missing.length === 0 ? {} : { [name]: { ...sent, ...Object.fromEntries(missing) } }
}

function meaningOf(name: string, value: unknown): [name: string | undefined, value: unknown] {
  if (name === 'reasoning_effort') return ['reasoning', isAbsent(value) ? undefined : { effort: value }]
  const known = Object.hasOwn(names, name) ? names[name] : name
  // Ollama says "no limit" with a negative number.
  const unlimited = known === 'max_output_tokens' && (numberOf(value) ?? 0) < 0
  return [known, unlimited ? undefined : value]
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}
