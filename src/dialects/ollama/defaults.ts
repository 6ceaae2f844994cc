import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { Flavour } from '../../sdk/dialect.ts'
import { fillMissing, translateDefaults } from '../shared/defaults.ts'
import { isAbsent } from '../shared/sampling.ts'
import { sampling } from './sampling.ts'

/**
 * The operator's defaults for what the body leaves out, as the members to set. Sampling goes into `options` by Ollama's
 * names; what the operator wrote in `options` itself counts more.
 */
export function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  const { options: given, ...named } = defaults
  const translated = translateDefaults(sampling, {}, named, { flavour })
  const { logprobs, top_logprobs, ...shared } = translated.sampling
  const { num_ctx, ...others } = translated.others
  const options = { ...shared, num_ctx, ...(isObject(given) ? given : {}) }
  return {
    ...fillMissing(body, { logprobs, top_logprobs }),
    ...Object.fromEntries(
      Object.entries(others).filter(([name, value]) => isAbsent(body[name]) && !isAbsent(value)),
    ),
    ...filledOptions(body.options, options),
  }
}

function filledOptions(sent: unknown, defaults: JsonObject): { options?: JsonObject } {
  if (!isAbsent(sent) && !isObject(sent)) return {}
  const missing = fillMissing(sent ?? {}, defaults)
  return Object.keys(missing).length === 0 ? {} : { options: { ...sent, ...missing } }
}
