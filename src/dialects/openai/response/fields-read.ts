import {
  countOf,
  filledTextOf,
  isObject,
  type JsonObject,
  numberOf,
  objectsIn,
  textOf,
  tokensOf,
} from '../../../lib/json/read.ts'
import type { ChatResponse, GeneratedFile, Timings, TokenLogprob, Usage } from '../../../sdk/chat.ts'
import { readTokenLogprobs } from '../../shared/logprobs.ts'
import { readDataUrl } from '../../shared/media.ts'
import { readListedLogprobs } from '../completion/logprobs.ts'

/** The stop sequence that ended the text, if a choice names it: `stop_reason` of vLLM, `matched_stop` of SGLang. */
export function stopSequenceOf({ stop_reason, matched_stop }: JsonObject): string | undefined {
  return filledTextOf(stop_reason) ?? filledTextOf(matched_stop)
}

/** The text of a message or delta. */
export interface MessageText {
  text: string
  reasoning: string
  refusal: string
}

/**
 * Reads `message` or `delta`. Reasoning is called `reasoning_content` (DeepSeek, older vLLM, llama.cpp) or `reasoning` (newer
 * vLLM, LM Studio, OpenRouter); servers that send both repeat the same text. Mistral's models have it in parts of the content.
 */
export function readMessageText(message: JsonObject): MessageText {
  const parts = objectsIn(message.content)
  const reasoning = reasoningText(message.reasoning_content) || reasoningText(message.reasoning)
  return {
    text: typeof message.content === 'string' ? message.content : parts.map(partText).join(''),
    reasoning: reasoning || parts.map((part) => reasoningText(part.thinking)).join(''),
    refusal: textOf(message.refusal) ?? '',
  }
}

/**
 * Generated images of a `message` or `delta`. OpenAI has no such member; OpenRouter, Vercel's gateway and LiteLLM agree on
 * one. An image with only an address is not part of the response.
 */
export function readImages({ images }: JsonObject): GeneratedFile[] {
  return objectsIn(images).flatMap(({ image_url: image }) => {
    const file = readDataUrl((isObject(image) ? textOf(image.url) : textOf(image)) ?? '')
    return file ? [{ mediaType: file.mediaType || 'image/png', data: file.data }] : []
  })
}

function partText(part: JsonObject): string {
  return textOf(part.text) ?? ''
}

function reasoningText(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return objectsIn(value).map(partText).join('')
  return isObject(value) ? (textOf(value.text) ?? textOf(value.content) ?? '') : ''
}

/** Token counts of a response or chunk. Moonshot reports them in the choice, Groq in `x_groq`. */
export function readUsage(answer: unknown): Usage | undefined {
  if (!isObject(answer)) return undefined
  if (isObject(answer.usage)) return readCounts(answer.usage)
  if (isObject(answer.x_groq)) return readCounts(answer.x_groq.usage)
  return readCounts(objectsIn(answer.choices).find((choice) => isObject(choice.usage))?.usage)
}

/** Source: OpenAI API reference, "The chat completion object", `usage`. */
function readCounts(usage: unknown): Usage | undefined {
  if (!isObject(usage)) return undefined
  const prompt = tokensOf(usage.prompt_tokens)
  const completion = tokensOf(usage.completion_tokens)
  const total = tokensOf(usage.total_tokens)
  if (prompt === undefined && completion === undefined) return undefined
  const details = usage.prompt_tokens_details
  const cached = detailOf(details, 'cached_tokens') ?? firstCount(usage, cachedNames)
  const written = firstCount(details, writtenNames) ?? firstCount(usage, writtenNames)
  const reasoning = detailOf(usage.completion_tokens_details, 'reasoning_tokens')
  const read: Usage = {
    promptTokens: prompt ?? Math.max((total ?? 0) - (completion ?? 0), 0),
    completionTokens: completion ?? Math.max((total ?? 0) - (prompt ?? 0), 0),
  }
  if (cached !== undefined) read.cachedTokens = cached
  if (written !== undefined) read.cacheWriteTokens = written
  if (reasoning !== undefined) read.reasoningTokens = reasoning
  return read
}

/** Members of `usage` itself, of DeepSeek, Moonshot, and proxies in front of Anthropic. */
const cachedNames = ['prompt_cache_hit_tokens', 'cached_tokens', 'cache_read_input_tokens']
/** Of OpenAI, vLLM, and proxies in front of Anthropic. */
const writtenNames = [
  'cache_write_tokens',
  'created_cache_tokens',
  'cache_creation_tokens',
  'cache_creation_input_tokens',
]

function firstCount(counts: unknown, names: readonly string[]): number | undefined {
  for (const name of names) {
    const count = detailOf(counts, name)
    if (count !== undefined) return count
  }
  return undefined
}

/** llama.cpp's own durations, in milliseconds. Source: llama.cpp, tools/server/README.md, `timings`. */
export function readTimings({ timings }: JsonObject): Timings | undefined {
  if (!isObject(timings)) return undefined
  const promptMs = countOf(timings.prompt_ms)
  const completionMs = countOf(timings.predicted_ms)
  if (promptMs === undefined && completionMs === undefined) return undefined
  return {
    ...(promptMs === undefined ? {} : { promptNs: promptMs * 1e6 }),
    ...(completionMs === undefined ? {} : { completionNs: completionMs * 1e6 }),
  }
}

function detailOf(details: unknown, name: string): number | undefined {
  return isObject(details) ? tokensOf(details[name]) : undefined
}

/** Token probabilities of a choice or chunk; undefined if there are none. */
export function readLogprobs(logprobs: unknown): TokenLogprob[] | undefined {
  if (!isObject(logprobs) || !Array.isArray(logprobs.content)) return readListedLogprobs(logprobs)
  return readTokenLogprobs(logprobs.content)
}

/** Id, creation time and fingerprint of a response; empty strings and zeros (Azure's first chunk) are ignored. */
export function readHead(answer: JsonObject): Pick<ChatResponse, 'id' | 'created' | 'systemFingerprint'> {
  const id = filledTextOf(answer.id)
  const created = numberOf(answer.created)
  const fingerprint = filledTextOf(answer.system_fingerprint)
  return {
    ...(id === undefined ? {} : { id }),
    ...(created === undefined || created <= 0 ? {} : { created: Math.floor(created) }),
    ...(fingerprint === undefined ? {} : { systemFingerprint: fingerprint }),
  }
}
