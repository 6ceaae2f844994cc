import { isObject, type JsonObject, numberOf } from '../../../lib/json/read.ts'
import type { Flavour } from '../../../sdk/profile.ts'
import { fillMissing, translateDefaults } from '../../shared/defaults.ts'
import {
  engineFieldsDropped,
  isAbsent,
  type SamplingTable,
  type SamplingVeto,
  singleChoice,
} from '../../shared/sampling.ts'
import { maxTokensWithBudget } from './reasoning-write.ts'

const absent = 'not supported by Anthropic'

/** Sampling of Messages. Source: Anthropic API reference, "Create a Message". */
export const sampling = {
  ...engineFieldsDropped(absent),
  maxTokens: { names: ['max_tokens'], read: numberOf },
  temperature: {
    names: ['temperature'],
    range: {
      fit: (temperature) => Math.min(temperature, 1),
      why: 'Anthropic does not accept values above 1',
    },
  },
  topP: { names: ['top_p'] },
  topK: { names: ['top_k'] },
  repetitionPenalty: { dropped: absent, unless: (penalty) => penalty === 1 },
  presencePenalty: { dropped: absent, unless: (penalty) => penalty === 0 },
  frequencyPenalty: { dropped: absent, unless: (penalty) => penalty === 0 },
  seed: { dropped: absent },
  stop: {
    names: ['stop_sequences'],
    range: { fit: withoutBlanks, why: 'Anthropic rejects blank stop sequences' },
    write: (texts) => (texts.length > 0 ? texts : undefined),
  },
  logitBias: { dropped: absent, unless: (biases) => Object.keys(biases).length === 0 },
  logprobs: { dropped: absent, unless: (enabled) => !enabled },
  topLogprobs: { partOf: 'logprobs' },
  n: singleChoice,
} as const satisfies SamplingTable

function withoutBlanks(texts: string[]): string[] {
  const nonBlank = texts.filter((text) => text.trim() !== '')
  return nonBlank.length < texts.length ? nonBlank : texts
}

const withThinking = 'Anthropic does not allow it together with thinking'

/** Thinking requires temperature 1 and restricts top_p and top_k. Source: "Extended thinking". */
export const thinkingVeto: SamplingVeto = {
  temperature: (temperature) => (temperature < 1 ? withThinking : undefined),
  topP: (topP) => (topP < 0.95 ? withThinking : undefined),
  topK: () => withThinking,
}

/** Anthropic requires a limit; this one is used if neither the client nor the operator sets one. */
const defaultMaxTokens = 4_096
/** The same with thinking, after which agents often write whole files. */
const thinkingMaxTokens = 16_384

/** A limit that every version of a model accepts. Source: Anthropic documentation, "Models overview", max output. */
function claudeMaxTokens(model: unknown): number | undefined {
  if (typeof model !== 'string' || !/claude/i.test(model)) return undefined
  if (/claude-(?:instant|2|3-(?:opus|sonnet|haiku))/i.test(model)) return 4_096
  return /claude-3-5/i.test(model) ? 8_192 : 32_000
}

/** Defaults for servers of other dialects, which Anthropic rejects. */
const foreignMembers: ReadonlySet<string> = new Set([
  'user',
  'stream_options',
  'response_format',
  'reasoning_effort',
  'keep_alive',
  'num_ctx',
  'think',
  'format',
])

/** The operator's defaults for members missing in the body; always includes `max_tokens`. */
export function missingDefaults(body: JsonObject, defaults: JsonObject, flavour: Flavour = {}): JsonObject {
  const veto = hasThinking(body) ? { veto: thinkingVeto } : {}
  const translated = translateDefaults(sampling, body, defaults, { flavour, ...veto })
  const others = Object.entries(translated.others).filter(([name]) => !foreignMembers.has(name))
  const members = fillMissing(body, { ...translated.sampling, ...Object.fromEntries(others) })
  return { ...members, ...limitFor(body, members.max_tokens) }
}

function hasThinking({ thinking }: JsonObject): boolean {
  return isObject(thinking) && thinking.type !== 'disabled'
}

/** The operator's limit includes thinking, unless the budget alone exceeds it. */
function limitFor(body: JsonObject, configured: unknown): JsonObject {
  if (!isAbsent(body.max_tokens)) return {}
  const budget = isObject(body.thinking) ? (numberOf(body.thinking.budget_tokens) ?? 0) : 0
  const limit = numberOf(configured) ?? 0
  if (limit >= 1) return { max_tokens: maxTokensWithBudget(budget, limit) }
  const modelLimit = claudeMaxTokens(body.model)
  if (modelLimit !== undefined) return { max_tokens: Math.max(modelLimit, budget + defaultMaxTokens) }
  return { max_tokens: budget + (hasThinking(body) ? thinkingMaxTokens : defaultMaxTokens) }
}
