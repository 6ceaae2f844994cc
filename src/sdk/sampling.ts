import { booleanOf, filledTextOf, isObject, numberOf } from '../lib/json/read.ts'

/** A field is absent unless the client sent it, so that the engine's own default applies. */
export interface Sampling {
  /** Maximum tokens of the response, reasoning included. Absent: no limit. */
  maxTokens?: number
  temperature?: number
  topP?: number
  topK?: number
  minP?: number
  typicalP?: number
  /** Multiplicative (Ollama `repeat_penalty`, vLLM `repetition_penalty`); never mixed with the additive ones. */
  repetitionPenalty?: number
  presencePenalty?: number
  frequencyPenalty?: number
  seed?: number
  stop?: string[]
  logitBias?: Record<string, number>
  logprobs?: boolean
  topLogprobs?: number
  /** Number of choices. */
  n?: number
}

export type SamplingValues = Required<Sampling>
export type SamplingField = keyof SamplingValues

interface Spelling<Value> {
  /** Wire names in any dialect. The first one is used in reports. */
  readonly names: readonly [string, ...string[]]
  /** Converts a value from any dialect; undefined for "no limit", "random" and invalid values. */
  readonly read: (value: unknown) => Value | undefined
}

/** Wire names of each field in all dialects: operators' defaults may use the names of any of them. */
export const spellings: { readonly [Field in SamplingField]: Spelling<SamplingValues[Field]> } = {
  maxTokens: {
    names: ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'num_predict'],
    read: (value) => ((numberOf(value) ?? 0) > 0 ? numberOf(value) : undefined),
  },
  temperature: { names: ['temperature'], read: numberOf },
  topP: { names: ['top_p'], read: numberOf },
  topK: { names: ['top_k'], read: numberOf },
  minP: { names: ['min_p'], read: numberOf },
  typicalP: { names: ['typical_p'], read: numberOf },
  repetitionPenalty: { names: ['repeat_penalty', 'repetition_penalty'], read: numberOf },
  presencePenalty: { names: ['presence_penalty'], read: numberOf },
  frequencyPenalty: { names: ['frequency_penalty'], read: numberOf },
  seed: { names: ['seed'], read: (value) => (value === -1 ? undefined : numberOf(value)) },
  stop: { names: ['stop', 'stop_sequences'], read: readTexts },
  logitBias: { names: ['logit_bias'], read: readBiases },
  logprobs: { names: ['logprobs'], read: booleanOf },
  topLogprobs: { names: ['top_logprobs'], read: numberOf },
  n: { names: ['n'], read: numberOf },
}

/** In the order in which {@link Sampling} declares them. */
export const samplingFields: readonly SamplingField[] = Object.keys(spellings) as SamplingField[] // the type names them all

function readTexts(value: unknown): string[] | undefined {
  const list: unknown[] = Array.isArray(value) ? value : [value]
  const texts = list.map(filledTextOf).filter((text) => text !== undefined)
  return texts.length > 0 ? texts : undefined
}

function readBiases(value: unknown): Record<string, number> | undefined {
  if (!isObject(value)) return undefined
  const biases = Object.entries(value).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  )
  return biases.length > 0 ? Object.fromEntries(biases) : undefined
}
