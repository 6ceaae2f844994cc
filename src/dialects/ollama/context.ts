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
  const promptTokens = tokensIn(body, lowEstimate)
  if (promptTokens > largest) throw overflow(promptTokens, largest)
  if (!limits.autoContext || requested !== undefined) return {}
  const answerTokens = Math.min(positive(options.num_predict) ?? defaultAnswerTokens, mostAnswerTokens)
  const needed = tokensIn(body, highEstimate) + answerTokens
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

/** Four bytes of UTF-8 per token, so that no prompt that fits is rejected. */
function lowEstimate(text: string): number {
  return Buffer.byteLength(text) / 4
}

/** Three bytes of text, one and a half symbols or one digit per token: many vocabularies have only single digits. */
function highEstimate(text: string): number {
  let digits = 0
  let symbols = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code >= 0x30 && code <= 0x39) digits++
    else if (code > 0x20 && code < 0x41) symbols++
    else if ((code > 0x5a && code < 0x61) || (code > 0x7a && code < 0x7f)) symbols++
  }
  return (Buffer.byteLength(text) + 2 * digits + symbols) / 3
}

const textMembers = ['content', 'thinking', 'prompt', 'suffix', 'system'] as const
const jsonMembers = ['tool_calls', 'tools'] as const

function tokensIn(body: JsonObject, estimate: (text: string) => number): number {
  const messages = Array.isArray(body.messages) ? body.messages.filter(isObject) : []
  let tokens = tokensPerMessage * messages.length
  for (const part of [body, ...messages]) {
    for (const name of textMembers) {
      const text = part[name]
      if (typeof text === 'string') tokens += estimate(text)
    }
    for (const name of jsonMembers) if (part[name]) tokens += estimate(JSON.stringify(part[name]))
    if (Array.isArray(part.images)) tokens += tokensPerImage * part.images.length
  }
  return Math.ceil(tokens)
}

function positive(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 ? value : undefined
}
