import { isObject } from '../../lib/json/read.ts'

/** Sampling fields by OpenAI's and vLLM's names, and options that operators write outside of `options`. */
const optionOfMember: ReadonlyMap<string, string> = new Map([
  ['temperature', 'temperature'],
  ['top_p', 'top_p'],
  ['top_k', 'top_k'],
  ['min_p', 'min_p'],
  ['typical_p', 'typical_p'],
  ['seed', 'seed'],
  ['stop', 'stop'],
  ['presence_penalty', 'presence_penalty'],
  ['frequency_penalty', 'frequency_penalty'],
  ['repetition_penalty', 'repeat_penalty'],
  ['repeat_penalty', 'repeat_penalty'],
  ['max_tokens', 'num_predict'],
  ['max_completion_tokens', 'num_predict'],
  ['num_predict', 'num_predict'],
  ['num_ctx', 'num_ctx'],
])

/** Top-level members of an Ollama request that the operator's defaults add or, for `options`, complete. */
export function missingDefaults(
  body: Record<string, unknown>,
  defaults: Record<string, unknown>,
): Record<string, unknown> {
  const changed: Record<string, unknown> = {}
  const options: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(defaults)) {
    if (isAbsent(value) || name === 'options') continue
    const option = optionOfMember.get(name)
    if (option !== undefined)
      options[option] ??= option === 'stop' && typeof value === 'string' ? [value] : value
    else if (isAbsent(body[name])) changed[name] = value
  }
  if (isObject(defaults.options)) Object.assign(options, defaults.options)
  const filled = fillOptions(body.options, options)
  return filled ? { ...changed, options: filled } : changed
}

/** The client's options with the missing ones added; undefined when none is missing. */
function fillOptions(
  standing: unknown,
  defaults: Record<string, unknown>,
): Record<string, unknown> | undefined {
  if (!isAbsent(standing) && !isObject(standing)) return undefined
  const given = isObject(standing) ? standing : {}
  const missing = Object.entries(defaults).filter(
    ([name, value]) => !isAbsent(value) && isAbsent(given[name]),
  )
  return missing.length === 0 ? undefined : { ...given, ...Object.fromEntries(missing) }
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}
