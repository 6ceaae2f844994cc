import type { Usage } from '../../sdk/chat.ts'
import { textTokens } from './prompt-estimate.ts'

export interface Spending {
  /** As the upstream counted, as far as it came. */
  usage: Usage | undefined
  /** How the request ended: well, with an error, or because its client left. */
  end: 'well' | 'error' | 'left'
  /** Whether a model writes the answer. */
  generates: boolean
  /** Whether the answer goes to the client as it is written. */
  stream: boolean
  /** Of the prompt, estimated. */
  promptTokens: number
  /** What the answer is expected to take, at most. */
  expectedTokens: number
  /** Of the answer that have gone to the client. */
  answerBytes: number
  /** Since the request went upstream, in milliseconds; undefined: it never did. */
  sinceSentMs: number | undefined
}

/** One piece of a stream with all its JSON; most servers send a piece for each token. */
const bytesPerStreamedToken = 128
/** What a server writes for one request, in tokens a second. */
const writtenPerSecond = 50

/**
 * Tokens that a request has taken: as counted upstream where the answer ended well, and nothing where there was none. What
 * was not counted is estimated, which is so when a client leaves in the middle: else who always leaves before the end would
 * pay nothing.
 */
export function spentTokens(spending: Spending): number {
  const { usage, end, sinceSentMs, answerBytes, promptTokens, generates } = spending
  if (usage && end === 'well') return usage.promptTokens + usage.completionTokens
  const counted = (usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0)
  if (sinceSentMs === undefined || (end === 'error' && answerBytes === 0)) return counted
  const prompt = usage?.promptTokens && generates ? usage.promptTokens : promptTokens
  if (!generates) return Math.max(counted, prompt)
  return prompt + Math.max(usage?.completionTokens ?? 0, writtenTokens(spending, sinceSentMs))
}

/** Of an answer that nobody counted. */
function writtenTokens({ end, stream, answerBytes, expectedTokens }: Spending, sinceSentMs: number): number {
  if (stream) return Math.ceil(answerBytes / bytesPerStreamedToken)
  if (end === 'well') return textTokens(answerBytes)
  // Its client left while it was written, and nobody has seen how far it came.
  return Math.min(expectedTokens, Math.ceil((sinceSentMs * writtenPerSecond) / 1000))
}
