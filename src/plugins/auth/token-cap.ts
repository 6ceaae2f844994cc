import { isObject } from '../../lib/json/read.ts'
import type { JsonScan } from '../../lib/json/splice.ts'
import { badRequest } from '../../sdk/errors.ts'

/** Fields that limit a response, in upper case: OpenAI, Anthropic, Responses, the text endpoints, llama.cpp. */
const bounds = new Set([
  'MAX_TOKENS',
  'MAX_COMPLETION_TOKENS',
  'MAX_OUTPUT_TOKENS',
  'MAX_NEW_TOKENS',
  'N_PREDICT',
])
/** Ollama's field in `options`. */
const ollamaBound = 'NUM_PREDICT'
const geminiFields = {
  bounds: ['MAXOUTPUTTOKENS', 'MAX_OUTPUT_TOKENS'],
  multipliers: ['CANDIDATECOUNT', 'CANDIDATE_COUNT'],
}
/** Fields of nested objects: Ollama's, and Gemini's in both of its spellings. */
const nested: Readonly<Record<string, { bounds: readonly string[]; multipliers: readonly string[] }>> = {
  OPTIONS: { bounds: [ollamaBound], multipliers: [] },
  GENERATIONCONFIG: geminiFields,
  GENERATION_CONFIG: geminiFields,
}
/**
 * Fields that request several responses to one prompt; servers generate the largest number. OpenAI and vLLM, llama.cpp.
 */
const multipliers = new Set(['N', 'BEST_OF', 'N_CMPL'])
/** No server generates as many responses to one request. Keeps expected tokens finite and exact. */
const maxAnswers = 1_000_000
/** A list of prompts requests responses to each of them. vLLM answers prompts and their embeddings alike. */
const prompts = ['PROMPT', 'PROMPT_EMBEDS']

/** Request body, and its bytes if it was sent as JSON. */
export interface ParsedBody {
  body: unknown
  raw: { bytes: Buffer; scan: JsonScan } | undefined
}

/** Limit of one response; Infinity for none. */
interface Bound {
  name: string
  tokens: number
}

export interface RequestedTokens {
  /** Number of responses requested, at most 1,000,000. */
  answers: number
  /** Limits per response that the request sets. */
  bounds: readonly Bound[]
}

/**
 * Determines how many responses and tokens a request asks for. Every spelling counts that some server accepts: servers
 * written in Go match names case-insensitively, and either of two duplicate names may win.
 */
export function requestedTokens({ body, raw }: ParsedBody): RequestedTokens {
  const found: Bound[] = []
  let answersEach = 1
  let promptCount = 0
  for (const [name, value] of raw ? scanned(raw) : Object.entries(Object(body))) {
    const folded = foldedAsInGo(name)
    if (bounds.has(folded)) found.push(...boundIn(name, value))
    if (multipliers.has(folded)) answersEach = Math.max(answersEach, countIn(value))
    if (prompts.includes(folded)) promptCount += promptsIn(value)
    const inner = nested[folded]
    if (!inner || !isObject(value)) continue
    for (const [option, wanted] of Object.entries(value)) {
      if (inner.bounds.includes(foldedAsInGo(option))) found.push(...boundIn(`${name}.${option}`, wanted))
      if (inner.multipliers.includes(foldedAsInGo(option)))
        answersEach = Math.max(answersEach, countIn(wanted))
    }
  }
  return { answers: Math.min(maxAnswers, answersEach * Math.max(1, promptCount)), bounds: found }
}

/** Throws `bad_request` if the request asks for more tokens, over all of its responses, than its key permits. */
export function checkTokenCap(asked: ParsedBody, most: number): void {
  const { answers, bounds: named } = requestedTokens(asked)
  for (const { name, tokens } of named) {
    if (tokens * answers <= most) continue
    const how = answers === 1 ? '' : ` in all, and this request asks for ${answers} responses`
    throw tooMany(`This key may ask for ${most} tokens at most${how}: lower '${name}'`, name)
  }
  // Each response has at least one token.
  if (answers > most) throw tooMany(`This key may ask for ${most} tokens at most: lower 'n'`, 'n')
}

function tooMany(message: string, name: string): Error {
  return badRequest(message, name, 'max_tokens_exceeded')
}

/** Also yields duplicate members, which `JSON.parse` drops. */
function* scanned({ bytes, scan }: { bytes: Buffer; scan: JsonScan }): Generator<[string, unknown]> {
  for (const { key, valueStart, valueEnd } of scan.members) {
    const folded = foldedAsInGo(key)
    if (!isRelevant(folded)) continue
    // A string is one prompt, however long.
    const isText = prompts.includes(folded) && bytes[valueStart] === quote
    yield [key, isText ? '' : JSON.parse(bytes.toString('utf8', valueStart, valueEnd))]
  }
}

const quote = 0x22

function isRelevant(folded: string): boolean {
  const isPlain = bounds.has(folded) || multipliers.has(folded) || prompts.includes(folded)
  return isPlain || Object.hasOwn(nested, folded)
}

function boundIn(name: string, value: unknown): Bound[] {
  const tokens = numberIn(value)
  if (tokens === undefined) return []
  // Negative means unlimited; for Ollama 0 does too.
  const isEndless = tokens < 0 || (tokens === 0 && foldedAsInGo(name).endsWith(ollamaBound))
  return [{ name, tokens: isEndless ? Number.POSITIVE_INFINITY : tokens }]
}

function countIn(value: unknown): number {
  return Math.max(1, Math.ceil(numberIn(value) ?? 1))
}

/** A list of numbers is one tokenized prompt. */
function promptsIn(value: unknown): number {
  if (value === null) return 0
  return Array.isArray(value) && typeof value[0] !== 'number' ? Math.max(1, value.length) : 1
}

function numberIn(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && !Number.isNaN(number) ? number : undefined
}

/** Folds case as Go's encoding/json does, including U+017F (long s) and U+212A (Kelvin sign). */
function foldedAsInGo(name: string): string {
  return name.toLowerCase().toUpperCase()
}
