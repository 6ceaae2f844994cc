import { badRequest } from './errors.ts'
import { isObject } from './json-read.ts'
import type { JsonScan } from './json-splice.ts'

/** Members that bound an answer, in capitals: of OpenAI, Anthropic, Responses, the text endpoints, llama.cpp. */
const bounds = new Set([
  'MAX_TOKENS',
  'MAX_COMPLETION_TOKENS',
  'MAX_OUTPUT_TOKENS',
  'MAX_NEW_TOKENS',
  'N_PREDICT',
])
/** Ollama's, in `options`. */
const ollamaBound = 'NUM_PREDICT'

/**
 * Throws `bad_request` for a request that asks for more tokens than its key may have. Every spelling counts that some
 * server understands: those written in Go match names in any case, and of names that stand twice either may win.
 */
export function checkTokenCap(
  body: unknown,
  raw: { bytes: Buffer; scan: JsonScan } | undefined,
  most: number,
): void {
  for (const [name, value] of raw ? scanned(raw) : Object.entries(Object(body))) {
    const folded = foldedAsInGo(name)
    if (bounds.has(folded)) check(name, value, most)
    if (folded !== 'OPTIONS' || !isObject(value)) continue
    for (const [option, wanted] of Object.entries(value))
      if (foldedAsInGo(option) === ollamaBound) check(`${name}.${option}`, wanted, most)
  }
}

/** Also what `JSON.parse` drops, because it stands twice. */
function* scanned({ bytes, scan }: { bytes: Buffer; scan: JsonScan }): Generator<[string, unknown]> {
  for (const { key, valueStart, valueEnd } of scan.members) {
    const folded = foldedAsInGo(key)
    if (bounds.has(folded) || folded === 'OPTIONS')
      yield [key, JSON.parse(bytes.toString('utf8', valueStart, valueEnd))]
  }
}

function check(name: string, value: unknown, most: number): void {
  const asked = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof asked !== 'number' || Number.isNaN(asked)) return
  // Less than nothing means without end; for Ollama nothing does so too.
  const isEndless = asked < 0 || (asked === 0 && foldedAsInGo(name).endsWith(ollamaBound))
  if (!isEndless && asked <= most) return
  throw badRequest(
    `This key may ask for ${most} tokens at most: lower '${name}'`,
    name,
    'max_tokens_exceeded',
  )
}

/** One form for all letters that Go's JSON takes for the same: also the long s and the sign of Kelvin. */
function foldedAsInGo(name: string): string {
  return name.toLowerCase().toUpperCase()
}
