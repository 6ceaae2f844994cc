import { type ErrorKind, RouterError, type RouterErrorDetails } from '../core/errors.ts'
import { isObject, parseObject } from '../core/json-read.ts'
import type { Target } from '../core/target.ts'
import type { UpstreamHeaders } from '../core/transport.ts'
import { safeUpstreamText } from './safe-text.ts'
import { type Failure, next, none } from './upstream-failure.ts'

/** A non-2xx answer, by its status. `body` is the text as far as it was read. */
export function failureOfStatus(
  status: number,
  headers: UpstreamHeaders,
  body: string,
  target: Target,
): Failure {
  const said = readErrorBody(body)
  const text = safeUpstreamText(said.message, target)
  const quotesUpstream = text !== undefined
  const evidence = { causeCode: `HTTP_${status}`, cause: { status, ...said }, quotesUpstream }
  const advice = retryAdvice(headers)
  const pauseMs = pauseOf(advice.retryAfterSeconds)
  if (status === 429) {
    const details = { code: 'rate_limit_exceeded', ...evidence, ...advice }
    return next(
      new RouterError('rate_limit', text ?? 'The upstream is rate limited', details),
      'busy',
      pauseMs,
    )
  }
  if (status === 401 || status === 402 || status === 403) {
    const details = { code: 'upstream_auth', ...evidence }
    const words = 'The upstream refused the credentials of the router'
    return next(new RouterError('upstream_error', words, details), 'misconfigured')
  }
  if (status === 404) {
    const words = text ?? `The upstream does not know the model '${target.model}'`
    return next(
      new RouterError('model_not_found', words, { code: 'model_not_found', ...evidence }),
      'misconfigured',
    )
  }
  const refusal = refusalOf(status, said)
  if (refusal) {
    const words = text ?? `The upstream refused the request with status ${status}`
    const error = new RouterError(refusal.kind, words, { ...refusal.details, ...evidence })
    return status === 408 || status === 425 ? next(error) : none(error)
  }
  const details = { code: 'upstream_error', ...evidence, ...(status === 503 || status === 529 ? advice : {}) }
  const error = new RouterError('upstream_error', 'The upstream failed to answer', details)
  if (status === 500) return { ...next(error), retry: 'next-once' }
  return pauseMs === undefined ? next(error) : next(error, 'busy', pauseMs)
}

/** A pause of whole seconds is at least one: "0" is no advice. Milliseconds are taken as they are. */
function pauseOf(seconds: number | undefined): number | undefined {
  if (seconds === undefined) return undefined
  return seconds === 0 ? 1_000 : seconds * 1_000
}

/** An error that came with status 200, or as the first event of a stream: by what it calls itself. */
export function failureOfReport(error: RouterError): Failure {
  const cause = error.cause
  const code = isObject(cause) ? `${textOf(cause.code) ?? ''} ${textOf(cause.type) ?? ''}` : ''
  const details = { causeCode: error.causeCode ?? 'REPORTED', cause }
  if (/rate_?limit|too_many|429/i.test(code)) {
    const limited = { code: 'rate_limit_exceeded', ...details }
    return next(new RouterError('rate_limit', 'The upstream is rate limited', limited), 'busy')
  }
  if (/auth|permission|api_?key|40[123]\b/i.test(code)) {
    const refused = { code: 'upstream_auth', ...details }
    return next(
      new RouterError('upstream_error', 'The upstream refused the credentials of the router', refused),
      'misconfigured',
    )
  }
  return next(error)
}

/** The 4xx answers that speak of the request, not of the target; undefined for every other status. */
function refusalOf(
  status: number,
  said: ErrorBody,
): { kind: ErrorKind; details: RouterErrorDetails } | undefined {
  switch (status) {
    case 400:
      return isOverflow(said)
        ? { kind: 'context_overflow', details: { code: 'context_length_exceeded' } }
        : { kind: 'bad_request', details: {} }
    case 408:
      return { kind: 'request_timeout', details: { code: 'upstream_timeout' } }
    case 409:
      return { kind: 'conflict', details: {} }
    case 413:
      return { kind: 'too_large', details: { code: 'request_too_large' } }
    case 415:
      return { kind: 'unsupported_media_type', details: {} }
    case 422:
      return { kind: 'unprocessable', details: {} }
    default:
      return status >= 400 && status < 500 ? { kind: 'bad_request', details: { status } } : undefined
  }
}

interface ErrorBody {
  message: string | undefined
  code: string | undefined
}

/** Reads the error bodies that servers send: OpenAI's object, a string, vLLM's older top level, FastAPI's detail. */
function readErrorBody(body: string): ErrorBody {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    const isMarkup = /^\s*</.test(body)
    return { message: isMarkup || body.trim() === '' ? undefined : body, code: undefined }
  }
  return readErrorValue(value)
}

function readErrorValue(value: unknown): ErrorBody {
  if (typeof value === 'string') return { message: value, code: undefined }
  if (!isObject(value)) return { message: undefined, code: undefined }
  const error = value.error
  if (typeof error === 'string') {
    // Ollama hands on its engine's error as JSON inside the string.
    const inner = error.startsWith('{') ? parseObject(error) : undefined
    return inner ? readErrorValue(inner) : { message: error, code: textOf(value.code) }
  }
  if (isObject(error))
    return { message: textOf(error.message), code: textOf(error.code) ?? textOf(error.type) }
  if (typeof value.detail === 'string') return { message: value.detail, code: undefined }
  if (Array.isArray(value.detail)) {
    const first: unknown = value.detail[0]
    return { message: isObject(first) ? textOf(first.msg) : undefined, code: undefined }
  }
  return { message: textOf(value.message), code: textOf(value.code) }
}

function isOverflow(said: ErrorBody): boolean {
  if (said.code === 'context_length_exceeded') return true
  return /context (length|window|size)|maximum context|prompt is too long/i.test(said.message ?? '')
}

/** RFC 9110 `Retry-After` in seconds or as a date, and the OpenAI clients' `retry-after-ms`. */
function retryAdvice(headers: UpstreamHeaders): { retryAfterSeconds?: number; shouldRetry?: boolean } {
  const should = headers['x-should-retry']
  const advice = should === 'true' || should === 'false' ? { shouldRetry: should === 'true' } : {}
  const ms = Number(headers['retry-after-ms'] ?? Number.NaN)
  if (Number.isFinite(ms) && ms >= 0) return { ...advice, retryAfterSeconds: ms / 1000 }
  const after = headers['retry-after']
  if (typeof after !== 'string') return advice
  const seconds = Number(after)
  if (Number.isFinite(seconds)) return { ...advice, retryAfterSeconds: seconds >= 0 ? seconds : 5 }
  const date = Date.parse(after)
  // What cannot be read still asks for a pause.
  return { ...advice, retryAfterSeconds: Number.isNaN(date) ? 5 : Math.max(0, (date - Date.now()) / 1000) }
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  return typeof value === 'number' ? String(value) : undefined
}
