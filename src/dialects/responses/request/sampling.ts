import { isObject, type JsonObject, numberOf } from '../../../lib/json/read.ts'
import type { Flavour } from '../../../sdk/profile.ts'
import { fillMissing, translateDefaults } from '../../shared/defaults.ts'
import { engineFieldsDropped, isAbsent, type SamplingTable, singleChoice } from '../../shared/sampling.ts'

export const logprobsName = 'message.output_text.logprobs'

const absent = 'the Responses API has no such field'

/** OpenAI's minimum of `max_output_tokens`. */
const minOutputTokens = 16

/** Sampling of the Responses API. Source: OpenAI API reference, "Create a model response". */
export const sampling = {
  ...engineFieldsDropped(absent),
  maxTokens: {
    names: ['max_output_tokens'],
    read: numberOf,
    range: { fit: (limit) => Math.max(limit, minOutputTokens) },
  },
  temperature: { names: ['temperature'] },
  topP: { names: ['top_p'] },
  topK: { dropped: absent },
  repetitionPenalty: { dropped: absent },
  presencePenalty: { dropped: absent },
  frequencyPenalty: { dropped: absent },
  seed: { dropped: absent },
  stop: { dropped: absent, unless: (texts) => texts.length === 0 },
  logitBias: { dropped: absent },
  logprobs: {
    // A number of alternatives requests them as well.
    names: ['include', 'top_logprobs'],
    read: (value) => (includesLogprobs(value) || (numberOf(value) ?? 0) > 0 ? true : undefined),
    write: (enabled) => (enabled ? [logprobsName] : undefined),
  },
  topLogprobs: {
    names: ['top_logprobs'],
    read: (value, { include }) => (value === 0 && !includesLogprobs(include) ? undefined : numberOf(value)),
    write: (count, { logprobs }) => (logprobs ? count : undefined),
  },
  n: singleChoice,
} as const satisfies SamplingTable

function includesLogprobs(include: unknown): boolean {
  return Array.isArray(include) && include.includes(logprobsName)
}

/** Defaults for servers of other dialects, which this API does not have. */
const foreignMembers: ReadonlySet<string> = new Set(['keep_alive', 'stream_options', 'response_format'])

/** The operator's defaults for members missing in the body. */
export function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  const translated = translateDefaults(sampling, body, defaults, { flavour })
  const { reasoning_effort: effort, ...others } = translated.others
  const supported = Object.entries(others).filter(([name]) => !foreignMembers.has(name))
  return fillMissing(body, {
    ...translated.sampling,
    ...Object.fromEntries(supported),
    ...(isAbsent(effort)
      ? {}
      : { reasoning: { effort, ...(isObject(others.reasoning) ? others.reasoning : {}) } }),
  })
}
