import type { SamplingTable, SamplingVeto } from '../shared/sampling.ts'

const absent = 'Anthropic does not have it'

/** Sampling of Messages. Source: Anthropic API reference, "Create a Message". */
export const sampling = {
  maxTokens: { names: ['max_tokens'] },
  temperature: {
    names: ['temperature'],
    range: { fit: (temperature) => Math.min(temperature, 1), why: 'Anthropic has none above 1' },
  },
  topP: { names: ['top_p'] },
  topK: { names: ['top_k'] },
  minP: { dropped: absent },
  typicalP: { dropped: absent },
  repetitionPenalty: { dropped: absent, unless: (penalty) => penalty === 1 },
  presencePenalty: { dropped: absent, unless: (penalty) => penalty === 0 },
  frequencyPenalty: { dropped: absent, unless: (penalty) => penalty === 0 },
  seed: { dropped: absent },
  stop: {
    names: ['stop_sequences'],
    range: { fit: withoutBlanks, why: 'Anthropic takes no blank stop sequences' },
    write: (texts) => (texts.length > 0 ? texts : undefined),
  },
  logitBias: { dropped: absent, unless: (biases) => Object.keys(biases).length === 0 },
  logprobs: { dropped: absent, unless: (asked) => !asked },
  topLogprobs: { partOf: 'logprobs' },
  n: {
    refused: 'The upstream of this model gives one answer per request; n must be 1',
    unless: (answers) => answers <= 1,
  },
} as const satisfies SamplingTable

function withoutBlanks(texts: string[]): string[] {
  const kept = texts.filter((text) => text.trim() !== '')
  return kept.length < texts.length ? kept : texts
}

const withThinking = 'Anthropic does not allow it together with thinking'

/** Thinking allows neither another temperature than 1 nor a narrow choice. Source: "Extended thinking". */
export const thinkingVeto: SamplingVeto = {
  temperature: (temperature) => (temperature < 1 ? withThinking : undefined),
  topP: (topP) => (topP < 0.95 ? withThinking : undefined),
  topK: () => withThinking,
}
