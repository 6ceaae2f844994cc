import { isObject, type JsonObject, numberOf } from '../../lib/json/read.ts'
import { roomFor } from './reasoning-write.ts'

/** Anthropic requires a limit; this one is taken where neither the client nor the operator names one. */
const standardLimit = 4_096

/** Names that operators use for servers of the other dialects, which this one would refuse, by those they have here. */
const nameHere: Readonly<Record<string, string | undefined>> = {
  max_completion_tokens: 'max_tokens',
  num_predict: 'max_tokens',
  stop: 'stop_sequences',
  user: undefined,
  n: undefined,
  seed: undefined,
  min_p: undefined,
  typical_p: undefined,
  repetition_penalty: undefined,
  repeat_penalty: undefined,
  presence_penalty: undefined,
  frequency_penalty: undefined,
  logit_bias: undefined,
  stream_options: undefined,
  response_format: undefined,
  reasoning_effort: undefined,
  keep_alive: undefined,
  num_ctx: undefined,
  think: undefined,
  format: undefined,
  options: undefined,
}

/** Of Ollama's `options`, those that are known here too. */
const knownOptions: ReadonlySet<string> = new Set(['temperature', 'top_p', 'top_k', 'stop', 'num_predict'])

/** Not allowed together with thinking. */
const sampling: ReadonlySet<string> = new Set(['temperature', 'top_p', 'top_k'])

/** The operator's defaults for what the body leaves out, as the members to set; `max_tokens` in any case. */
export function missingDefaults(body: JsonObject, defaults: JsonObject): JsonObject {
  const members: JsonObject = {}
  for (const [given, value] of Object.entries({ ...optionsIn(defaults.options), ...defaults })) {
    const name = Object.hasOwn(nameHere, given) ? nameHere[given] : given
    if (name === undefined || isAbsent(value) || (thinks(body) && sampling.has(name))) continue
    const standing = body[name]
    const usable = usableValue(name, value)
    if (isAbsent(usable)) continue
    if (isAbsent(standing)) members[name] = usable
    else if (isObject(standing) && isObject(usable)) Object.assign(members, filledUp(name, standing, usable))
  }
  return { ...members, ...limitFor(body, members.max_tokens) }
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

function optionsIn(options: unknown): JsonObject {
  if (!isObject(options)) return {}
  return Object.fromEntries(Object.entries(options).filter(([name]) => knownOptions.has(name)))
}

function thinks({ thinking }: JsonObject): boolean {
  return isObject(thinking) && thinking.type !== 'disabled'
}

/** In the form and the range that this dialect has; undefined for what means "no limit" elsewhere. */
function usableValue(name: string, value: unknown): unknown {
  if (name === 'max_tokens' && (numberOf(value) ?? 0) < 1) return undefined
  if (name === 'temperature' && typeof value === 'number') return Math.min(value, 1)
  return name === 'stop_sequences' && typeof value === 'string' ? [value] : value
}

/** Objects that name their own kind (`thinking`, `tool_choice`) are one value and are not mixed. */
function filledUp(name: string, standing: JsonObject, defaults: JsonObject): JsonObject {
  if ('type' in standing) return {}
  const missing = Object.entries(defaults).filter(([member]) => isAbsent(standing[member]))
  return missing.length === 0 ? {} : { [name]: { ...standing, ...Object.fromEntries(missing) } }
}

/** An operator's limit is the model's own, so thoughts come out of it where they can. */
function limitFor(body: JsonObject, configured: unknown): JsonObject {
  if (!isAbsent(body.max_tokens)) return {}
  const budget = isObject(body.thinking) ? (numberOf(body.thinking.budget_tokens) ?? 0) : 0
  const limit = numberOf(configured)
  return { max_tokens: limit === undefined ? standardLimit + budget : roomFor(budget, limit) }
}
