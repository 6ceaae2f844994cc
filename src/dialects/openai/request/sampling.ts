import { type JsonObject, numberOf } from '../../../lib/json/read.ts'
import type { Flavour } from '../../../sdk/profile.ts'
import { fillMissing, translateDefaults } from '../../shared/defaults.ts'
import { isAbsent, type SamplingTable } from '../../shared/sampling.ts'

/**
 * Sampling of chat completions. Source: OpenAI API reference, "Create chat completion", and the fields that vLLM ("Extra
 * parameters"), llama.cpp and LM Studio add; a flavour says which of those a server has.
 */
export const sampling = {
  maxTokens: {
    names: ['max_completion_tokens', 'max_tokens'],
    nameFor: ({ maxTokensField = 'max_tokens' }) => maxTokensField,
    read: readLimit,
  },
  temperature: { names: ['temperature'] },
  topP: { names: ['top_p'] },
  topK: {
    names: ['top_k'],
    nameFor: extension('top_k'),
  },
  minP: {
    names: ['min_p'],
    nameFor: extension('min_p'),
  },
  typicalP: {
    names: ['typical_p'],
    nameFor: extension('typical_p'),
  },
  // The additive penalties use a different formula and do not replace it.
  repetitionPenalty: {
    names: ['repetition_penalty', 'repeat_penalty'],
    nameFor: ({ repetitionPenalty }) => repetitionPenalty,
    absent: 'the upstream has no multiplicative repetition penalty',
  },
  presencePenalty: { names: ['presence_penalty'] },
  frequencyPenalty: { names: ['frequency_penalty'] },
  // OpenAI accepts any integer, including -1, which elsewhere means random.
  seed: { names: ['seed'], read: numberOf },
  stop: { names: ['stop'], write: (texts) => (texts.length > 0 ? texts : undefined) },
  logitBias: { names: ['logit_bias'] },
  logprobs: { names: ['logprobs'] },
  topLogprobs: { names: ['top_logprobs'] },
  n: { names: ['n'] },
} as const satisfies SamplingTable

type Extension = NonNullable<Flavour['samplingExtensions']>[number]

function extension(name: Extension): (flavour: Flavour) => Extension | undefined {
  return ({ samplingExtensions = [] }) => (samplingExtensions.includes(name) ? name : undefined)
}

/** Clients of LM Studio send -1 for no limit. */
function readLimit(value: unknown): number | undefined {
  const limit = numberOf(value)
  return limit === undefined || limit < 0 ? undefined : limit
}

/**
 * Sampling of legacy completions, where the limit has one name and `logprobs` is the number of alternatives. Source: OpenAI
 * API reference, "Create completion (legacy)".
 */
export const completionSampling = {
  ...sampling,
  maxTokens: { names: ['max_tokens'], read: readLimit },
  logprobs: {
    names: ['logprobs'],
    read: (value) => (numberOf(value) === undefined ? undefined : true),
    write: (enabled, { topLogprobs = 0 }) => (enabled ? topLogprobs : undefined),
  },
  topLogprobs: {
    names: ['logprobs'],
    // Written with `logprobs`.
    write: () => undefined,
  },
} as const satisfies SamplingTable

/** The operator's defaults for members missing in the body. */
export function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  return defaultsFor(sampling, body, defaults, flavour)
}

/** The same for another surface of the dialect. Members that only Ollama has are skipped. */
export function defaultsFor(
  table: SamplingTable,
  body: JsonObject,
  defaults: JsonObject,
  flavour: Flavour,
): JsonObject {
  if (Object.keys(defaults).length === 0) return {}
  const translated = translateDefaults(table, body, defaults, { flavour })
  const { keep_alive: _ollama, stream_options: streamOptions, ...others } = translated.others
  return fillMissing(body, {
    ...translated.sampling,
    ...others,
    // vLLM rejects `stream_options` without `stream`.
    ...(isAbsent(body.stream_options) && body.stream !== true ? {} : { stream_options: streamOptions }),
  })
}
