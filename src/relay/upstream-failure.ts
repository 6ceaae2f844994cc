import { RouterError, streamTruncated, upstreamFailed } from '../core/errors.ts'
import type { Target } from '../core/target.ts'
import type { UpstreamHeaders } from '../core/transport.ts'
import { safeUpstreamText } from './safe-text.ts'

/**
 * Where the same request may go next while nothing has reached the client: to a target not tried yet, once more to
 * the same one over a fresh socket, or nowhere.
 */
export type Retry = 'next' | 'same' | 'none'

export interface Failure {
  error: RouterError
  retry: Retry
}

/** A non-2xx answer, by its status. `body` is the text as far as it was read. */
export function failureOfStatus(
  status: number,
  headers: UpstreamHeaders,
  body: string,
  target: Target,
): Failure {
  const said = readErrorBody(body)
  const text = safeUpstreamText(said.message, target)
  const causeCode = `HTTP_${status}`
  const cause = { status, message: said.message, code: said.code }
  const refused = text ?? `The upstream refused the request with status ${status}`
  switch (status) {
    case 400: {
      const overflow = isOverflow(said)
      return none(
        new RouterError(overflow ? 'context_overflow' : 'bad_request', refused, {
          ...(overflow ? { code: 'context_length_exceeded' } : {}),
          causeCode,
          cause,
        }),
      )
    }
    case 401:
    case 402:
    case 403:
      return next(
        new RouterError('upstream_error', 'The upstream refused the credentials of the router', {
          code: 'upstream_auth',
          causeCode,
          cause,
        }),
      )
    case 404:
      return next(
        new RouterError('model_not_found', text ?? `The upstream does not know the model '${target.model}'`, {
          code: 'model_not_found',
          causeCode,
          cause,
        }),
      )
    case 408:
      return next(new RouterError('request_timeout', refused, { code: 'upstream_timeout', causeCode, cause }))
    case 409:
      return none(new RouterError('conflict', refused, { causeCode, cause }))
    case 413:
      return none(new RouterError('too_large', refused, { code: 'request_too_large', causeCode, cause }))
    case 415:
      return none(new RouterError('unsupported_media_type', refused, { causeCode, cause }))
    case 422:
      return none(new RouterError('unprocessable', refused, { causeCode, cause }))
    case 429:
      return next(
        new RouterError('rate_limit', text ?? 'The upstream is rate limited', {
          code: 'rate_limit_exceeded',
          causeCode,
          cause,
          ...retryAdvice(headers),
        }),
      )
    default:
      if (status >= 400 && status < 500 && status !== 425) {
        return none(new RouterError('bad_request', refused, { status, causeCode, cause }))
      }
      return next(
        new RouterError('upstream_error', 'The upstream failed to answer', {
          code: 'upstream_error',
          causeCode,
          cause,
          ...(status === 503 || status === 529 ? retryAdvice(headers) : {}),
        }),
      )
  }
}

const connectCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
])

/**
 * A call that ended with a socket or protocol error. `answered`: response headers had come. `reusedSocket`: it was a
 * kept-alive one, which the upstream may have closed just before; then the request was not read.
 */
export function failureOfError(error: Error, answered: boolean, reusedSocket: boolean): Failure {
  const code = codeOf(error)
  if (connectCodes.has(code)) {
    const timedOut = code === 'UND_ERR_CONNECT_TIMEOUT'
    return next(
      new RouterError(timedOut ? 'upstream_timeout' : 'upstream_error', 'The upstream could not be reached', {
        code: 'upstream_unreachable',
        causeCode: code,
        cause: error,
      }),
    )
  }
  if (answered) return next(streamTruncated())
  if (reusedSocket)
    return { error: upstreamFailed('The upstream closed the connection', code, error), retry: 'same' }
  return next(upstreamFailed('The upstream closed the connection without an answer', code, error))
}

export function timeoutFailure(what: 'connect' | 'content' | 'silence'): Failure {
  const text = what === 'silence' ? 'The upstream stopped sending' : 'The upstream did not answer in time'
  return next(
    new RouterError('upstream_timeout', text, {
      code: 'upstream_timeout',
      causeCode: `TIMEOUT_${what.toUpperCase()}`,
    }),
  )
}

export function garbageFailure(cause?: unknown): Failure {
  return next(upstreamFailed('The upstream sent an answer that cannot be read', 'INVALID_ANSWER', cause))
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
  if (!isRecord(value)) return { message: undefined, code: undefined }
  const error = value.error
  if (typeof error === 'string') return { message: error, code: textOf(value.code) }
  if (isRecord(error))
    return { message: textOf(error.message), code: textOf(error.code) ?? textOf(error.type) }
  if (typeof value.detail === 'string') return { message: value.detail, code: undefined }
  if (Array.isArray(value.detail)) {
    const first: unknown = value.detail[0]
    return { message: isRecord(first) ? textOf(first.msg) : undefined, code: undefined }
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
  if (Number.isFinite(seconds) && seconds >= 0) return { ...advice, retryAfterSeconds: seconds }
  const date = Date.parse(after)
  if (Number.isNaN(date)) return advice
  return { ...advice, retryAfterSeconds: Math.max(0, (date - Date.now()) / 1000) }
}

function codeOf(error: Error): string {
  const code = 'code' in error ? error.code : undefined
  if (typeof code === 'string') return code
  // A host with several addresses fails with an AggregateError; any of its parts tells why.
  if (error instanceof AggregateError) {
    const first: unknown = error.errors[0]
    if (first instanceof Error) return codeOf(first)
  }
  return error.name
}

function next(error: RouterError): Failure {
  return { error, retry: 'next' }
}

function none(error: RouterError): Failure {
  return { error, retry: 'none' }
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  return typeof value === 'number' ? String(value) : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
