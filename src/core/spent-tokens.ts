import type { Usage } from './chat.ts'

export interface Spending {
  /** As the upstream counted. */
  usage: Usage | undefined
  attempts: number
  /** Whether the client got an answer, or left while it was made. */
  served: boolean
  /** Of the request's JSON; 0 for uploads. */
  requestBytes: number
  /** Of a streamed answer. */
  streamedBytes: number
}

/** Of a prompt nobody counted, more than this may be a picture. */
const mostPromptTokens = 16_384
const bytesPerPromptToken = 4
/** One piece of a stream with all its JSON; most servers send a piece for each token. */
const bytesPerStreamedToken = 128

/**
 * Tokens that a request has taken. Where no upstream told the count, which is so when its client left in the middle, they
 * are estimated: else who always leaves before the end would pay nothing.
 */
export function spentTokens({ usage, attempts, served, requestBytes, streamedBytes }: Spending): number {
  if (usage) return usage.promptTokens + usage.completionTokens
  if (attempts === 0 || !served) return 0
  const prompt = Math.min(mostPromptTokens, Math.ceil(requestBytes / bytesPerPromptToken))
  return prompt + Math.ceil(streamedBytes / bytesPerStreamedToken)
}
