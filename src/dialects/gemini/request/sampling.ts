import { type JsonObject, numberOf } from '../../../lib/json/read.ts'
import type { Flavour } from '../../../sdk/profile.ts'
import { fillMissing, translateDefaults } from '../../shared/defaults.ts'
import { engineFieldsDropped, type SamplingTable } from '../../shared/sampling.ts'
import { nameIn, objectIn } from '../members.ts'

const absent = 'not supported by Gemini'
/** Source: Gemini API reference, `GenerationConfig.stopSequences`. */
const maxStopSequences = 5

/** Sampling of `generationConfig`. Source: Gemini API reference, "GenerationConfig". */
export const sampling = {
  ...engineFieldsDropped(absent),
  maxTokens: { names: ['maxOutputTokens', 'max_output_tokens'] },
  temperature: {
    names: ['temperature'],
    range: { fit: (temperature) => Math.min(temperature, 2), why: 'Gemini does not accept values above 2' },
  },
  topP: { names: ['topP', 'top_p'] },
  topK: { names: ['topK', 'top_k'] },
  repetitionPenalty: { dropped: absent, unless: (penalty) => penalty === 1 },
  presencePenalty: { names: ['presencePenalty', 'presence_penalty'] },
  frequencyPenalty: { names: ['frequencyPenalty', 'frequency_penalty'] },
  seed: {
    names: ['seed'],
    range: { fit: (seed) => seed | 0, why: 'Gemini accepts seeds of 32 bits; the lower bits were sent' },
  },
  stop: {
    names: ['stopSequences', 'stop_sequences'],
    range: { fit: firstStops, why: `Gemini accepts up to ${maxStopSequences} non-empty stop sequences` },
    write: (texts) => (texts.length > 0 ? texts : undefined),
  },
  logitBias: { dropped: absent, unless: (biases) => Object.keys(biases).length === 0 },
  logprobs: { names: ['responseLogprobs', 'response_logprobs'], write: (enabled) => enabled || undefined },
  topLogprobs: { names: ['logprobs'], write: (count) => (count > 0 ? count : undefined) },
  // 0 is the default of a protocol buffer.
  n: {
    names: ['candidateCount', 'candidate_count'],
    read: (count) => numberOf(count) || undefined,
    write: (count) => (count > 1 ? count : undefined),
  },
} as const satisfies SamplingTable

function firstStops(texts: string[]): string[] {
  const accepted = texts.filter((text) => text !== '').slice(0, maxStopSequences)
  return accepted.length < texts.length ? accepted : texts
}

/** Defaults outside `generationConfig`; those of other dialects are skipped. */
const topLevelMembers = ['safetySettings', 'cachedContent', 'labels', 'systemInstruction', 'toolConfig']

/** The operator's defaults for members missing in the body. Sampling is in `generationConfig`. */
export function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  const configName = nameIn(body, 'generationConfig')
  const config = objectIn(body, 'generationConfig') ?? {}
  const { sampling: translated, others } = translateDefaults(sampling, config, defaults, { flavour })
  const configured = objectIn(others, 'generationConfig') ?? {}
  const members = fillMissing(config, { ...configured, ...translated })
  const topLevel = topLevelMembers.flatMap((name): [string, unknown][] => {
    const value = others[nameIn(others, name)]
    return value === undefined ? [] : [[nameIn(body, name), value]]
  })
  const changed = Object.keys(members).length > 0
  return {
    ...fillMissing(body, Object.fromEntries(topLevel)),
    ...(changed ? { [configName]: { ...config, ...members } } : {}),
  }
}
