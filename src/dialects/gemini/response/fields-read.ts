import {
  filledTextOf,
  isObject,
  type JsonObject,
  objectsIn,
  textOf,
  tokensOf,
} from '../../../lib/json/read.ts'
import type { FinishReason, TokenLogprob, Usage } from '../../../sdk/chat.ts'
import { type RouterError, upstreamFailed } from '../../../sdk/errors.ts'
import { listIn, memberOf, objectIn } from '../members.ts'

/** Finish reasons of content filters. Source: Gemini API reference, "FinishReason" and "BlockReason". */
const filters: ReadonlySet<string> = new Set([
  'SAFETY',
  'RECITATION',
  'LANGUAGE',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'SPII',
  'OTHER',
  'JAILBREAK',
  'IMAGE_SAFETY',
  'IMAGE_PROHIBITED_CONTENT',
  'IMAGE_RECITATION',
  'IMAGE_OTHER',
  'MODEL_ARMOR',
])

/** Finish reasons without a usable response. */
const failures: ReadonlySet<string> = new Set([
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
  'MISSING_THOUGHT_SIGNATURE',
  'MALFORMED_RESPONSE',
  'NO_IMAGE',
])

/** The finish reason of a candidate; undefined while it continues. Unknown reasons mean `stop`. */
export function readFinish(candidate: JsonObject, calledTools: boolean): FinishReason | undefined {
  const reason = filledTextOf(memberOf(candidate, 'finishReason'))
  if (reason === undefined || reason === 'FINISH_REASON_UNSPECIFIED') return undefined
  if (reason === 'MAX_TOKENS') return 'length'
  if (filters.has(reason)) return 'content_filter'
  return calledTools ? 'tool_calls' : 'stop'
}

/** The error of a candidate that the model failed to complete. */
function failureOf(candidate: JsonObject): RouterError | undefined {
  const reason = textOf(memberOf(candidate, 'finishReason')) ?? ''
  if (!failures.has(reason)) return undefined
  return upstreamFailed('The model failed to complete its response', 'BAD_ANSWER', { what: reason })
}

/** Whether the prompt was blocked, so there is no candidate. */
export function isBlocked(answer: JsonObject): boolean {
  const feedback = objectIn(answer, 'promptFeedback')
  return feedback !== undefined && filledTextOf(memberOf(feedback, 'blockReason')) !== undefined
}

/** The error of the first candidate that the model failed to complete. */
export function failureIn(answer: JsonObject): RouterError | undefined {
  return objectsIn(answer.candidates)
    .map(failureOf)
    .find((error) => error !== undefined)
}

export function partsIn(candidate: JsonObject): JsonObject[] {
  return isObject(candidate.content) ? objectsIn(candidate.content.parts) : []
}

/**
 * Token counts of an answer, or of a chunk, where they are cumulative. Thoughts are counted separately from the candidates.
 */
export function readUsage(answer: unknown): Usage | undefined {
  const counts = isObject(answer) ? objectIn(answer, 'usageMetadata') : undefined
  if (!counts) return undefined
  const count = (name: string): number | undefined => tokensOf(memberOf(counts, name))
  const prompt = count('promptTokenCount')
  const candidates = count('candidatesTokenCount')
  if (prompt === undefined && candidates === undefined) return undefined
  const thoughts = count('thoughtsTokenCount')
  const cached = count('cachedContentTokenCount')
  return {
    promptTokens: (prompt ?? 0) + (count('toolUsePromptTokenCount') ?? 0),
    completionTokens: (candidates ?? 0) + (thoughts ?? 0),
    ...(cached === undefined ? {} : { cachedTokens: cached }),
    ...(thoughts === undefined ? {} : { reasoningTokens: thoughts }),
  }
}

/** Reads `logprobsResult`: the chosen tokens, and the most likely tokens at each position. */
export function readLogprobs(candidate: JsonObject): TokenLogprob[] | undefined {
  const result = objectIn(candidate, 'logprobsResult')
  if (!result) return undefined
  const tops = listIn(result, 'topCandidates')
  const tokens = listIn(result, 'chosenCandidates').map((chosen, index) => ({
    ...readToken(chosen),
    topLogprobs: listIn(tops[index] ?? {}, 'candidates').map(readToken),
  }))
  return tokens.length === 0 ? undefined : tokens
}

function readToken(entry: JsonObject): { token: string; logprob: number; bytes: null } {
  const logprob = memberOf(entry, 'logProbability')
  return { token: textOf(entry.token) ?? '', logprob: typeof logprob === 'number' ? logprob : 0, bytes: null }
}
