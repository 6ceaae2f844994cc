import { isObject, type JsonObject } from '../../../lib/json/read.ts'
import { badRequest } from '../../../sdk/errors.ts'
import type { Flavour } from '../../../sdk/profile.ts'
import { fillMissing, translateDefaults } from '../../shared/defaults.ts'
import { membersExcept } from '../../shared/dropped-fields.ts'
import { isAbsent, type SamplingTable, singleChoice } from '../../shared/sampling.ts'

/**
 * Sampling of `POST /api/chat`; all fields except `logprobs` and `top_logprobs` are members of `options`. Source: Ollama's
 * Modelfile reference, "Valid parameters and values", and API reference, "Generate a chat completion".
 */
export const sampling = {
  maxTokens: { names: ['num_predict'], read: readLimit },
  temperature: { names: ['temperature'], read: numberIn('temperature') },
  topP: { names: ['top_p'], read: numberIn('top_p') },
  topK: { names: ['top_k'], read: numberIn('top_k') },
  minP: { names: ['min_p'], read: numberIn('min_p') },
  typicalP: { names: ['typical_p'], read: numberIn('typical_p') },
  repetitionPenalty: { names: ['repeat_penalty'], read: numberIn('repeat_penalty') },
  presencePenalty: { names: ['presence_penalty'], read: numberIn('presence_penalty') },
  frequencyPenalty: { names: ['frequency_penalty'], read: numberIn('frequency_penalty') },
  seed: { names: ['seed'], read: readSeed },
  stop: { names: ['stop'], read: readStop, range: { fit: withoutEmpty } },
  logitBias: {
    dropped: 'Ollama does not support token biases',
    unless: (biases) => Object.keys(biases).length === 0,
  },
  // `false` is the default, and OpenAI's servers reject `top_logprobs` without `logprobs`.
  logprobs: { names: ['logprobs'], read: (value) => (value === true ? true : undefined) },
  topLogprobs: {
    names: ['top_logprobs'],
    read: (value, { logprobs }) => (logprobs === true && typeof value === 'number' ? value : undefined),
  },
  n: singleChoice,
} as const satisfies SamplingTable

/** The options that only Ollama has. Throws `bad_request` if there are too many. */
export function otherOptions(options: JsonObject): JsonObject {
  return membersExcept(options, (name) => optionNames.has(name))
}

const optionNames: ReadonlySet<string> = new Set(
  Object.values(sampling).flatMap((row): readonly string[] => ('names' in row ? row.names : [])),
)

function numberIn(option: string): (value: unknown) => number {
  return (value) => {
    if (typeof value === 'number') return value
    throw badRequest(`options.${option} must be a number`, `options.${option}`)
  }
}

/** 0, -1 and, in older versions, -2 mean no limit. */
function readLimit(value: unknown): number | undefined {
  const limit = numberIn('num_predict')(value)
  return limit <= 0 ? undefined : limit
}

/** -1 means random. */
function readSeed(value: unknown): number | undefined {
  const seed = numberIn('seed')(value)
  return seed === -1 ? undefined : seed
}

function readStop(value: unknown): string[] | undefined {
  const texts: unknown[] = Array.isArray(value) ? value : [value]
  if (!texts.every((text) => typeof text === 'string')) {
    throw badRequest('options.stop must be an array of strings', 'options.stop')
  }
  return withoutEmpty(texts)
}

function withoutEmpty(texts: string[]): string[] | undefined {
  const nonEmpty = texts.filter((text) => text !== '')
  return nonEmpty.length > 0 ? nonEmpty : undefined
}

/**
 * The operator's defaults for members missing in the body. Sampling goes into `options` under Ollama's names; the operator's
 * own `options` take precedence.
 */
export function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  const { options: configured, ...named } = defaults
  const translated = translateDefaults(sampling, {}, named, { flavour })
  const { logprobs, top_logprobs, ...shared } = translated.sampling
  const { num_ctx, ...others } = translated.others
  const options = { ...shared, num_ctx, ...(isObject(configured) ? configured : {}) }
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
