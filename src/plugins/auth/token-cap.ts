import { isObject } from '../../lib/json/read.ts'
import type { JsonScan } from '../../lib/json/splice.ts'
import { badRequest } from '../../sdk/errors.ts'

/** Members that bound an answer, in capitals: of OpenAI, Anthropic, Responses, the text endpoints, llama.cpp. */
const bounds = new Set([
  'MAX_TOKENS',
  'MAX_COMPLETION_TOKENS',
  'MAX_OUTPUT_TOKENS',
  'MAX_NEW_TOKENS',
  'N_PREDICT',
])
const geminiNames = {
  bounds: ['MAXOUTPUTTOKENS', 'MAX_OUTPUT_TOKENS'],
  multipliers: ['CANDIDATECOUNT', 'CANDIDATE_COUNT'],
}
/** Ollama's, in `options`. */
const ollamaBound = 'NUM_PREDICT'
/** Where some dialects have them, and how they call them there: Ollama, Gemini in both of its spellings. */
const nested: Readonly<Record<string, { bounds: readonly string[]; multipliers: readonly string[] }>> = {
  OPTIONS: { bounds: [ollamaBound], multipliers: [] },
  GENERATIONCONFIG: geminiNames,
  GENERATION_CONFIG: geminiNames,
}
/** Members that ask for several answers to one prompt, of which servers make the larger number: of OpenAI and vLLM, llama.cpp. */
const multipliers = new Set(['N', 'BEST_OF', 'N_CMPL'])
/** A list of several prompts asks for answers to each. */
const prompts = 'PROMPT'

/** The body of a request, and its bytes where it came as JSON. */
export interface AskedBody {
  body: unknown
  raw: { bytes: Buffer; scan: JsonScan } | undefined
}

/** A bound of one answer; infinite: without end. */
interface Bound {
  name: string
  tokens: number
}

export interface AskedTokens {
  /** How many answers the request asks for. */
  answers: number
  /** What bounds each of them, as far as the request says it. */
  bounds: readonly Bound[]
}

/**
 * How much a request asks for. Every spelling counts that some server understands: those written in Go match names in any
 * case, and of names that stand twice either may win.
 */
export function askedTokens({ body, raw }: AskedBody): AskedTokens {
  const found: Bound[] = []
  let answersEach = 1
  let promptCount = 1
  for (const [name, value] of raw ? scanned(raw) : Object.entries(Object(body))) {
    const folded = foldedAsInGo(name)
    if (bounds.has(folded)) found.push(...boundIn(name, value))
    if (multipliers.has(folded)) answersEach = Math.max(answersEach, countIn(value))
    if (folded === prompts) promptCount = Math.max(promptCount, promptsIn(value))
    const inner = nested[folded]
    if (!inner || !isObject(value)) continue
    for (const [option, wanted] of Object.entries(value)) {
      if (inner.bounds.includes(foldedAsInGo(option))) found.push(...boundIn(`${name}.${option}`, wanted))
      if (inner.multipliers.includes(foldedAsInGo(option)))
        answersEach = Math.max(answersEach, countIn(wanted))
    }
  }
  return { answers: answersEach * promptCount, bounds: found }
}

/** Throws `bad_request` for a request that asks for more tokens than its key may have, in all of its answers together. */
export function checkTokenCap(asked: AskedBody, most: number): void {
  const { answers, bounds: named } = askedTokens(asked)
  for (const { name, tokens } of named) {
    if (tokens * answers <= most) continue
    const how = answers === 1 ? '' : ` in all, and this asks for ${answers} answers`
    throw tooMany(`This key may ask for ${most} tokens at most${how}: lower '${name}'`, name)
  }
  // Each answer has a token at least.
  if (answers > most) throw tooMany(`This key may ask for ${most} tokens at most: lower 'n'`, 'n')
}

function tooMany(message: string, name: string): Error {
  return badRequest(message, name, 'max_tokens_exceeded')
}

/** Also what `JSON.parse` drops, because it stands twice. */
function* scanned({ bytes, scan }: { bytes: Buffer; scan: JsonScan }): Generator<[string, unknown]> {
  for (const { key, valueStart, valueEnd } of scan.members) {
    const folded = foldedAsInGo(key)
    // A long text is no list.
    const counts = folded === prompts ? bytes[valueStart] === openBracket : isLookedAt(folded)
    if (counts) yield [key, JSON.parse(bytes.toString('utf8', valueStart, valueEnd))]
  }
}

const openBracket = 0x5b

function isLookedAt(folded: string): boolean {
  return bounds.has(folded) || multipliers.has(folded) || Object.hasOwn(nested, folded)
}

function boundIn(name: string, value: unknown): Bound[] {
  const tokens = numberIn(value)
  if (tokens === undefined) return []
  // Less than nothing means without end; for Ollama nothing does so too.
  const isEndless = tokens < 0 || (tokens === 0 && foldedAsInGo(name).endsWith(ollamaBound))
  return [{ name, tokens: isEndless ? Number.POSITIVE_INFINITY : tokens }]
}

function countIn(value: unknown): number {
  return Math.max(1, Math.ceil(numberIn(value) ?? 1))
}

/** Numbers are the tokens of one prompt. */
function promptsIn(value: unknown): number {
  return Array.isArray(value) && typeof value[0] !== 'number' ? Math.max(1, value.length) : 1
}

function numberIn(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && !Number.isNaN(number) ? number : undefined
}

/** One form for all letters that Go's JSON takes for the same: also the long s and the sign of Kelvin. */
function foldedAsInGo(name: string): string {
  return name.toLowerCase().toUpperCase()
}
