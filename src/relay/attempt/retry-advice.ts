import type { UpstreamHeaders } from '../../sdk/transport.ts'

/** Where an upstream says whether and when to retry. */
export interface RetryAdvice {
  headers: UpstreamHeaders
  retryDelay: string | undefined
}

export function retryAdvice(advice: RetryAdvice): { retryAfterSeconds?: number; shouldRetry?: boolean } {
  const waitMs = retryAfterMs(advice)
  const wait = waitMs === undefined ? {} : { retryAfterSeconds: waitMs / 1_000 }
  return { ...shouldRetryOf(advice.headers), ...wait }
}

export function shouldRetryOf(headers: UpstreamHeaders): { shouldRetry?: boolean } {
  const should = headers['x-should-retry']
  return should === 'true' || should === 'false' ? { shouldRetry: should === 'true' } : {}
}

/** Used for a wait that cannot be parsed. */
const unreadableMs = 5_000
/** Minimum wait. */
const shortestMs = 1_000

/**
 * The pause that a target asked for with 429, in milliseconds; undefined if it specifies none. Taken from
 * `retry-after-ms`, `retry-after` and `RetryInfo`, then the reset of each limit of which nothing remains. Sources: RFC 9110 section
 * 10.2.3; OpenAI's guide on rate limits (`x-ratelimit-remaining-tokens`, `x-ratelimit-reset-tokens: 6m0s`); Anthropic's
 * API reference (`anthropic-ratelimit-tokens-remaining`, `anthropic-ratelimit-tokens-reset`, an RFC 3339 time).
 */
export function waitOf(advice: RetryAdvice): number | undefined {
  return retryAfterMs(advice) ?? resetMs(advice.headers)
}

/**
 * `retry-after-ms`, otherwise `retry-after` in seconds or as a date, otherwise the delay in the body. With repeated headers
 * the longest wait applies.
 */
function retryAfterMs({ headers, retryDelay }: RetryAdvice): number | undefined {
  const ms = longest(valuesOf(headers['retry-after-ms']).map(plainNumber))
  if (ms !== undefined) return Math.max(shortestMs, ms)
  const waits = datesOrNumbers(headers['retry-after']).map(secondsOrDate)
  const wait = longest(waits) ?? durationMs(retryDelay ?? '')
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

/** Repeated headers may arrive joined by a comma; a date also contains a comma. */
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

/** A larger number is a point in time, not a duration. */
const epochSeconds = 1_000_000_000
const epochMs = 1_000_000_000_000

/** A duration (`6m0s`, `120ms`, seconds) or a point in time (RFC 3339, seconds or milliseconds since 1970). */
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
