import { isObject, type JsonObject, parseObject } from './read.ts'

/*
 * JSON.parse rounds integers beyond 2^53, such as ids of 64 bits, which clients in other languages and tools keep. Where values
 * are only carried on, these integers keep their digits as `JSON.rawJSON`. Source: ECMAScript proposal "JSON.parse source text
 * access", which V8 implements.
 */

interface RawNumber {
  readonly rawJSON: string
}

declare global {
  interface JSON {
    rawJSON(text: string): RawNumber
    isRawJSON(value: unknown): value is RawNumber
  }
}

/** Members whose values are arguments or results of tools, or JSON Schemas: the router reads no numbers in them. */
const carriedMembers: ReadonlySet<string> = new Set([
  'input',
  'arguments',
  'args',
  'response',
  'parameters',
  'parametersJsonSchema',
  'parameters_json_schema',
  'input_schema',
  'schema',
  'format',
  'responseSchema',
  'response_schema',
  'responseJsonSchema',
  'response_json_schema',
])

/** Deeper values are not searched. Request bodies are at most this deep. */
const maxDepth = 128

/** The parsed JSON of `text`, in which the integers of tools and schemas keep all their digits. */
export function withExactIntegers(parsed: unknown, text: () => string): unknown {
  if (!holdsRounded(parsed, false, maxDepth)) return parsed
  const exact = parseExact(text())
  return exact === undefined ? parsed : exactWhereCarried(exact, parsed)
}

/** The same for text that is still to be parsed. Throws SyntaxError. */
export function parseCarried(text: string): unknown {
  return withExactIntegers(JSON.parse(text), () => text)
}

/** Like `parseObject`, but integers keep all their digits. For values that are written again as they are. */
export function parseExactObject(text: string): JsonObject | undefined {
  const parsed = parseObject(text)
  if (parsed === undefined || !mayRound(text)) return parsed
  const exact = holdsRounded(parsed, true, maxDepth) ? parseExact(text) : parsed
  return isObject(exact) ? exact : parsed
}

/** Whether the text contains an integer beyond 2^53, or digits that look like one. */
function mayRound(text: string): boolean {
  return /\d{16}/.test(text)
}

/** Without copies, because every event of a translated stream is searched. */
function holdsRounded(value: unknown, carried: boolean, depth: number): boolean {
  if (typeof value === 'number') return carried && isRounded(value)
  if (Array.isArray(value)) return depth > 0 && value.some((each) => holdsRounded(each, carried, depth - 1))
  if (!isObject(value) || depth === 0) return false
  for (const name in value)
    if (holdsRounded(value[name], carried || carriedMembers.has(name), depth - 1)) return true
  return false
}

function isRounded(value: number): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value)
}

function parseExact(text: string): unknown {
  try {
    return JSON.parse(text, digitsOf)
  } catch {
    return undefined // too deep for a reviver
  }
}

function digitsOf(_key: string, value: unknown, { source = '' }: { source?: string } = {}): unknown {
  return typeof value === 'number' && isRounded(value) && /^-?\d+$/.test(source)
    ? JSON.rawJSON(source)
    : value
}

/** Changes `exact` outside of these members to what `parsed` has there. */
function exactWhereCarried(exact: unknown, parsed: unknown): unknown {
  if (JSON.isRawJSON(exact) || typeof exact !== 'object' || exact === null) return parsed
  const from: Record<string, unknown> = Object(parsed)
  for (const [name, value] of Object.entries(exact)) {
    if (!Array.isArray(exact) && carriedMembers.has(name)) continue
    const plain = exactWhereCarried(value, from[name])
    if (plain !== value) Object.assign(exact, { [name]: plain })
  }
  return exact
}
