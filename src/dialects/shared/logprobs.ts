import { type JsonObject, numberOf, objectsIn, textOf } from '../../lib/json/read.ts'
import type { TokenLogprob } from '../../sdk/chat.ts'

/** Token probabilities in the form of OpenAI's APIs and Ollama; undefined for an empty or missing list. */
export function readTokenLogprobs(tokens: unknown): TokenLogprob[] | undefined {
  const read = objectsIn(tokens).map((token) => ({
    ...readToken(token),
    topLogprobs: objectsIn(token.top_logprobs).map(readToken),
  }))
  return read.length === 0 ? undefined : read
}

function readToken(token: JsonObject): Omit<TokenLogprob, 'topLogprobs'> {
  return {
    token: textOf(token.token) ?? '',
    logprob: numberOf(token.logprob) ?? 0,
    bytes: Array.isArray(token.bytes) ? token.bytes.filter((byte) => typeof byte === 'number') : null,
  }
}
