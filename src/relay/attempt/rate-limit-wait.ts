import type { UpstreamHeaders } from '../../sdk/transport.ts'

/** What is said in a way that cannot be read still asks for a pause. */
const unreadableMs = 5_000
/** A wait of nothing is no wait. */
const shortestMs = 1_000

/**
 * How long a target that answered 429 asked to be left alone, in milliseconds; undefined where it names no wait. Read are
 * `retry-after-ms` and `retry-after`, then the reset of each limit of which nothing remains. Sources: RFC 9110 section
 * 10.2.3; OpenAI's guide on rate limits (`x-ratelimit-remaining-tokens`, `x-ratelimit-reset-tokens: 6m0s`); Anthropic's
 * API reference (`anthropic-ratelimit-tokens-remaining`, `anthropic-ratelimit-tokens-reset`, an RFC 3339 time).
 */
export function waitOf(headers: UpstreamHeaders): number | undefined {
  return retryAfterMs(headers) ?? resetMs(headers)
}

/** `retry-after-ms`, else `retry-after` in seconds or as a date. Of several headers of one name the longest wait counts. */
export function retryAfterMs(headers: UpstreamHeaders): number | undefined {
  const ms = longest(valuesOf(headers['retry-after-ms']).map(plainNumber))
  if (ms !== undefined) return Math.max(shortestMs, ms)
  const waits = datesOrNumbers(headers['retry-after']).map(secondsOrDate)
  const wait = longest(waits)
  return wait === undefined ? undefined : Math.max(shortestMs, wait)
}

function resetMs(headers: UpstreamHeaders): number | undefined {
  const waits = Object.entries(headers)
    .filter(([name, value]) => isLimit(name) && valuesOf(value).some((each) => Number(each) === 0))
    .flatMap(([name]) => valuesOf(headers[name.replace('remaining', 'reset')]).map(reset))
  const wait = longest(waits)
  return wait === undefined ? undefined : Math.max(shortestMs, wait)
}

function isLimit(name: string): boolean {
  return /rate-?limit/.test(name) && /(?:^|-)remaining(?:-|$)/.test(name)
}

function valuesOf(value: string | string[] | undefined): string[] {
  if (value === undefined) return []
  return [value].flat().map((each) => each.trim())
}

/** Two headers of one name may arrive as one, joined by a comma; a date has a comma of its own. */
function datesOrNumbers(value: string | string[] | undefined): string[] {
  return valuesOf(value).flatMap((each) => (/^[\d.\s,-]+$/.test(each) ? each.split(',') : [each]))
}

function plainNumber(text: string): number | undefined {
  const value = text === '' ? Number.NaN : Number(text)
  return Number.isFinite(value) && value >= 0 ? value : undefined
}

function secondsOrDate(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isFinite(value)) return value >= 0 ? value * 1_000 : unreadableMs
  return untilDate(text) ?? unreadableMs
}

/** Later than this a number is a moment, not a length of time. */
const epochSeconds = 1_000_000_000
const epochMs = 1_000_000_000_000

/** A duration (`6m0s`, `120ms`, seconds) or a moment (RFC 3339, seconds or milliseconds since 1970). */
function reset(text: string): number | undefined {
  const value = plainNumber(text)
  if (value === undefined) return durationMs(text) ?? untilDate(text)
  if (value >= epochMs) return Math.max(0, value - Date.now())
  return value >= epochSeconds ? Math.max(0, value * 1_000 - Date.now()) : value * 1_000
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function durationMs(text: string): number | undefined {
  if (!/^(?:\d{1,12}(?:\.\d{1,9})?(?:ms|[smhd]))+$/.test(text)) return undefined
  let sum = 0
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d{1,12}(?:\.\d{1,9})?)(ms|[smhd])/g))
    sum += Number(amount) * (unitMs[unit] ?? 0)
  return sum
}

function untilDate(text: string): number | undefined {
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now())
}

function longest(waits: readonly (number | undefined)[]): number | undefined {
  const known = waits.filter((each) => each !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}
