import { isObject, type JsonObject } from '../../lib/json/read.ts'
import type { ContextLimits } from '../../sdk/dialect.ts'
import { RouterError } from '../../sdk/errors.ts'

/** The smallest context that is chosen, in tokens. */
const smallestContext = 4096
/** Tokens reserved for an answer without a limit. */
const defaultAnswerTokens = 1024
/** Most tokens reserved for an answer: clients set limits far above what they need, and a larger context takes memory from all. */
const mostAnswerTokens = 32_768
/** Approximate number for current models. */
const tokensPerImage = 512
const tokensPerMessage = 4

/**
 * Ollama silently removes the beginning of a prompt that exceeds `num_ctx`. So a prompt that is longer than the context is
 * rejected, and if the context is to be chosen (`num_ctx: "auto"`), the smallest power of two that holds prompt and answer is
 * set: not the exact size, because each change of `num_ctx` makes Ollama reload the model. Returns the members to set. Throws
 * `context_overflow`.
 */
export function fitContext(body: JsonObject, limits: ContextLimits): JsonObject {
  const options = isObject(body.options) ? body.options : {}
  const requested = positive(options.num_ctx)
  const largest = Math.min(
    limits.inputSize || Number.POSITIVE_INFINITY,
    requested ?? Number.POSITIVE_INFINITY,
  )
  if (largest === Number.POSITIVE_INFINITY && !limits.autoContext) return {}
  const promptTokens = estimatedTokens(body)
  if (promptTokens > largest) throw overflow(promptTokens, largest)
  if (!limits.autoContext || requested !== undefined) return {}
  // The estimate is low, so that no prompt that fits is rejected; here a third is added.
  const answerTokens = Math.min(positive(options.num_predict) ?? defaultAnswerTokens, mostAnswerTokens)
  const needed = Math.ceil((promptTokens * 4) / 3) + answerTokens
  let context = smallestContext
  while (context < needed) context *= 2
  return { options: { ...options, num_ctx: Math.min(context, largest) } }
}

function overflow(promptTokens: number, contextTokens: number): RouterError {
  return new RouterError(
    'context_overflow',
    `The prompt has about ${promptTokens} tokens, and the context of this model holds ${contextTokens}`,
    { code: 'context_length_exceeded', param: 'messages' },
  )
}

/** Four bytes of UTF-8 per token, a low estimate for current tokenizers. */
function estimatedTokens(body: JsonObject): number {
  const messages = Array.isArray(body.messages) ? body.messages.filter(isObject) : []
  const parts = [body, ...messages]
  const images = parts.reduce((sum, { images: list }) => sum + (Array.isArray(list) ? list.length : 0), 0)
  const bytes = parts.reduce((sum, part) => sum + bytesIn(part), 0)
  return Math.ceil(bytes / 4) + tokensPerMessage * messages.length + tokensPerImage * images
}

const textMembers = ['content', 'thinking', 'prompt', 'suffix', 'system'] as const
const jsonMembers = ['tool_calls', 'tools'] as const

function bytesIn(part: JsonObject): number {
  let bytes = 0
  for (const name of textMembers) {
    const text = part[name]
    if (typeof text === 'string') bytes += Buffer.byteLength(text)
  }
  for (const name of jsonMembers) if (part[name]) bytes += Buffer.byteLength(JSON.stringify(part[name]))
  return bytes
}

function positive(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 ? value : undefined
}
