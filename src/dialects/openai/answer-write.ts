import { type JsonObject, present } from '../../lib/json/read.ts'
import type { TokenLogprob, Usage } from '../../sdk/chat.ts'

/** Details are written where they are known: a zero would be a claim. */
export function writeUsage(usage: Usage): JsonObject {
  const { promptTokens, completionTokens, cachedTokens, cacheWriteTokens, reasoningTokens } = usage
  const prompt = present({ cached_tokens: cachedTokens, cache_write_tokens: cacheWriteTokens })
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    ...(Object.keys(prompt).length === 0 ? {} : { prompt_tokens_details: prompt }),
    ...(reasoningTokens === undefined
      ? {}
      : { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  }
}

/** `bytes` may be null on the wire, `top_logprobs` may be empty but never absent. */
export function writeLogprobs(logprobs: readonly TokenLogprob[] | undefined): JsonObject | null {
  if (logprobs === undefined) return null
  const content = logprobs.map(({ token, logprob, bytes, topLogprobs }) => ({
    token,
    logprob,
    bytes,
    top_logprobs: topLogprobs,
  }))
  return { content, refusal: null }
}

/** The upstream's id where it looks like this dialect's own, else one made of the answer's random part. */
export function answerId(upstreamId: string | undefined, ownId: string): string {
  return upstreamId?.startsWith('chatcmpl-') ? upstreamId : `chatcmpl-${ownId}`
}
