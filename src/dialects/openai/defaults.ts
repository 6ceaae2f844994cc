import type { JsonObject } from '../../lib/json/read.ts'
import type { Flavour } from '../../sdk/dialect.ts'
import { fillMissing, translateDefaults } from '../shared/defaults.ts'
import { isAbsent, type SamplingTable } from '../shared/sampling.ts'
import { sampling } from './sampling.ts'

/** The operator's defaults for what the body leaves out, as the members to set. */
export function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  return defaultsFor(sampling, body, defaults, flavour)
}

/** The same for another surface of the dialect. Members that only Ollama has are passed over. */
export function defaultsFor(
  table: SamplingTable,
  body: JsonObject,
  defaults: JsonObject,
  flavour: Flavour,
): JsonObject {
  const translated = translateDefaults(table, body, defaults, { flavour })
  const { keep_alive: _ollama, stream_options: streamOptions, ...others } = translated.others
  return fillMissing(body, {
    ...translated.sampling,
    ...others,
    // vLLM answers 400 to options of a stream in a request for a whole answer.
    ...(isAbsent(body.stream_options) && body.stream !== true ? {} : { stream_options: streamOptions }),
  })
}
