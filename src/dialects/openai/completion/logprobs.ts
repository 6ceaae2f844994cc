import { isObject, type JsonObject, numberOf } from '../../../lib/json/read.ts'
import type { TokenLogprob } from '../../../sdk/chat.ts'

/**
 * The token probabilities of a completion: parallel lists, with one entry per token. Undefined if there are none. Source:
 * OpenAI API reference, "The completion object".
 */
export function readListedLogprobs(logprobs: unknown): TokenLogprob[] | undefined {
  if (!isObject(logprobs) || !Array.isArray(logprobs.tokens) || logprobs.tokens.length === 0) return undefined
  const { tokens, token_logprobs: values, top_logprobs: tops } = logprobs
  return tokens.map((token: unknown, index) => {
    const top: unknown = Array.isArray(tops) ? tops[index] : undefined
    return {
      token: String(token),
      logprob: Array.isArray(values) ? (numberOf(values[index]) ?? 0) : 0,
      bytes: null,
      topLogprobs: Object.entries(isObject(top) ? top : {}).map(([name, value]) => ({
        token: name,
        logprob: numberOf(value) ?? 0,
        bytes: null,
      })),
    }
  })
}

/** `offset`: characters of the text before the first of these tokens. */
export function writeListedLogprobs(
  logprobs: readonly TokenLogprob[] | undefined,
  offset: number,
): JsonObject | null {
  if (!logprobs) return null
  let at = offset
  const offsets = logprobs.map(({ token }) => {
    const start = at
    at += token.length
    return start
  })
  return {
    tokens: logprobs.map(({ token }) => token),
    token_logprobs: logprobs.map(({ logprob }) => logprob),
    top_logprobs: logprobs.map(({ topLogprobs }) =>
      Object.fromEntries(topLogprobs.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset: offsets,
  }
}
