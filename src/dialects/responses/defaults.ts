import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { Flavour } from '../../sdk/dialect.ts'
import { fillMissing, translateDefaults } from '../shared/defaults.ts'
import { isAbsent } from '../shared/sampling.ts'
import { sampling } from './sampling.ts'

/** Members that operators set for servers of the other dialects, and that this API lacks. */
const unknownHere: ReadonlySet<string> = new Set(['keep_alive', 'stream_options', 'response_format'])

/** The operator's defaults for what the body leaves out, as the members to set. */
export function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  const translated = translateDefaults(sampling, body, defaults, { flavour })
  const { reasoning_effort: effort, ...others } = translated.others
  const kept = Object.entries(others).filter(([name]) => !unknownHere.has(name))
  return fillMissing(body, {
    ...translated.sampling,
    ...Object.fromEntries(kept),
    ...(isAbsent(effort)
      ? {}
      : { reasoning: { effort, ...(isObject(others.reasoning) ? others.reasoning : {}) } }),
  })
}
