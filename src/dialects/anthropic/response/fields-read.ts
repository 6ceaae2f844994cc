import { filledTextOf, isObject, type JsonObject, present, tokensOf } from '../../../lib/json/read.ts'
import type { Citation, Usage } from '../../../sdk/chat.ts'
import { type ReadReason, readFinishReason } from '../../shared/finish-reasons.ts'

export interface Finish extends ReadReason {
  stopSequence?: string
}

/** How a message, or the `delta` of `message_delta`, ended. Source: Anthropic API reference, `stop_reason`. */
export function readFinish(message: JsonObject, calledTools: boolean): Finish {
  const stopSequence = filledTextOf(message.stop_sequence)
  const read = readFinishReason(message.stop_reason, calledTools)
  if (message.stop_reason !== 'stop_sequence' || stopSequence === undefined) return read
  return { reason: 'stop', stopSequence }
}

/** The model's explanation of a refusal, if any. */
export function readRefusal(message: JsonObject): string | undefined {
  if (message.stop_reason !== 'refusal' || !isObject(message.stop_details)) return undefined
  return filledTextOf(message.stop_details.explanation)
}

/** Token counts of a whole answer. */
export function readUsage(answer: unknown): Usage | undefined {
  return isObject(answer) ? readCounts(answer.usage) : undefined
}

/**
 * Merges a `usage` object with earlier counts. Anthropic counts the input in three disjoint parts, which are added up. In a
 * stream, output counts are cumulative, and input counts may be repeated or omitted.
 */
export function readCounts(usage: unknown, before?: Usage): Usage | undefined {
  if (!isObject(usage)) return before
  const input = tokensOf(usage.input_tokens)
  const output = tokensOf(usage.output_tokens)
  if (input === undefined && output === undefined) return before
  const details = usage.output_tokens_details
  const cached = maxDefined(tokensOf(usage.cache_read_input_tokens), before?.cachedTokens)
  const written = maxDefined(tokensOf(usage.cache_creation_input_tokens), before?.cacheWriteTokens)
  const thinking = isObject(details) ? tokensOf(details.thinking_tokens) : undefined
  const reasoningTokens = thinking ?? before?.reasoningTokens
  const prompt = input === undefined ? 0 : input + (cached ?? 0) + (written ?? 0)
  return {
    promptTokens: Math.max(prompt, before?.promptTokens ?? 0),
    completionTokens: output ?? before?.completionTokens ?? 0,
    ...(cached === undefined ? {} : { cachedTokens: cached }),
    ...(written === undefined ? {} : { cacheWriteTokens: written }),
    ...(reasoningTokens === undefined ? {} : { reasoningTokens }),
  }
}

function maxDefined(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined ? other : Math.max(one, other ?? 0)
}

/**
 * Reads a citation of a text block; its range is that of the block. Documents of the request have no address. Source: Anthropic
 * API reference, "Create a message", `TextCitation`.
 */
export function readCitation(citation: unknown): Citation | undefined {
  if (!isObject(citation)) return undefined
  const source = filledTextOf(citation.source)
  return present({
    url: filledTextOf(citation.url) ?? (/^https?:/.test(source ?? '') ? source : undefined),
    title: filledTextOf(citation.title) ?? filledTextOf(citation.document_title),
    quote: filledTextOf(citation.cited_text),
  })
}
