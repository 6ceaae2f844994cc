import { isObject } from '../../lib/json/read.ts'
import { type ErrorKind, RouterError, type RouterErrorDetails } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type { UpstreamHeaders } from '../../sdk/transport.ts'
import { overflowIn, reportsOverflow } from '../upstream/context-overflow.ts'
import { isTooLargeForLimit } from '../upstream/upstream-answer.ts'
import { type AttemptFailure, final, movesOn } from './attempt-result.ts'
import { type ErrorBody, readErrorBody } from './error-body.ts'
import { type RetryAdvice, retryAdvice, shouldRetryOf, waitOf } from './retry-advice.ts'
import { safeUpstreamText } from './safe-text.ts'

type ErrorText = Pick<ErrorBody, 'message' | 'code'>

/** The failure of a non-2xx response. `body`: the text as far as it was read; undefined if it is not text. */
export function failureOfStatus(
  status: number,
  headers: UpstreamHeaders,
  body: string | undefined,
  target: Target,
): AttemptFailure {
  const { param, retryDelay, ...said } = readErrorBody(body ?? '')
  const text = safeUpstreamText(said.message, target)
  const quotesUpstream = text !== undefined
  const evidence = { causeCode: `HTTP_${status}`, cause: { status, ...said }, quotesUpstream }
  if (isOutOfCredit(status, said)) return outOfCredit(text, evidence)
  if (status === 429) return rateLimited({ headers, retryDelay }, said, text, evidence)
  if (status === 401 || status === 402 || status === 403 || isInvalidKey(status, said)) {
    const details = { code: 'upstream_auth', ...evidence }
    const words = 'The upstream refused the credentials of the router'
    const refusalStatus = status === 400 ? 401 : status
    return { ...movesOn(new RouterError('upstream_error', words, details)), refusalStatus }
  }
  if (status === 404 || isUnknownModel(status, said)) {
    const words = text ?? `The upstream does not know the model '${target.model}'`
    const details = { code: 'model_not_found', ...evidence }
    return { ...movesOn(new RouterError('model_not_found', words, details)), refusalStatus: 404 }
  }
  if (isOverflow(status, said)) return final(tooLong(text, said.message, evidence))
  const refusal = isEngineFailure(status, said)
    ? undefined
    : clientErrorOf(isAboutRequest(status, said) ? 400 : status)
  if (refusal) {
    const words = text ?? `The upstream refused the request with status ${status}`
    const error = new RouterError(refusal.kind, words, {
      ...(said.code !== undefined && requestCodes.has(said.code) ? { code: said.code } : {}),
      ...refusal.details,
      ...(param === undefined ? {} : { param }),
      ...evidence,
    })
    return status === 408 || status === 425 ? movesOn(error, 'nothing') : final(error)
  }
  const isOverloaded = status === 503 || status === 529
  const error = isOverloaded
    ? new RouterError('overloaded', 'The upstream is overloaded', {
        status,
        code: 'overloaded',
        retryAfterSeconds: 5,
        ...evidence,
        quotesUpstream: false,
        ...retryAdvice({ headers, retryDelay }),
      })
    : new RouterError('upstream_error', 'The upstream failed to answer', {
        code: 'upstream_error',
        ...evidence,
      })
  return movesOn(error)
}

/**
 * Codes from which clients learn what to change; others are not passed on. Sources: OpenAI API reference, "Errors"; Azure
 * OpenAI, "Content filtering".
 */
const requestCodes: ReadonlySet<string> = new Set([
  'unsupported_parameter',
  'unsupported_value',
  'unknown_parameter',
  'invalid_value',
  'invalid_type',
  'missing_required_parameter',
  'content_policy_violation',
  'content_filter',
])

/**
 * A target that specifies a wait is paused. One that does not, or that compares the size of the request with its limit, may
 * answer other requests.
 */
function rateLimited(
  advice: RetryAdvice,
  said: ErrorText,
  text: string | undefined,
  evidence: RouterErrorDetails,
): AttemptFailure {
  const waitMs = isTooLargeForLimit(said.message) ? undefined : waitOf(advice)
  const words = text ?? 'The upstream is rate limited'
  const error = new RouterError('rate_limit', words, {
    code: 'rate_limit_exceeded',
    ...evidence,
    ...shouldRetryOf(advice.headers),
    ...(waitMs === undefined ? {} : { retryAfterSeconds: Math.min(300, waitMs / 1_000) }),
  })
  return waitMs === undefined ? movesOn(error) : movesOn(error, 'cooldown', waitMs)
}

/**
 * The account has no credit: waiting does not help, and another target may belong to another account. OpenAI answers 429 with
 * `insufficient_quota`, Moonshot with `exceeded_current_quota_error`; Anthropic answered 400 before it had `billing_error`.
 * LiteLLM's proxy answers 400, 422 or 429, depending on version and settings, when the budget of the key is spent.
 */
function isOutOfCredit(status: number, { code, message = '' }: ErrorText): boolean {
  if ([400, 422, 429].includes(status) && /^budget has been exceeded/i.test(message)) return true
  if (status === 400) return /credit balance is too low/i.test(message)
  return status === 429 && code !== undefined && outOfCreditCodes.test(code)
}

const outOfCreditCodes =
  /insufficient_(?:quota|balance)|exceeded_current_quota|billing_(?:hard_limit|not_active|error)/

function outOfCredit(text: string | undefined, evidence: RouterErrorDetails): AttemptFailure {
  const words = text ?? 'The account of the upstream has no credit left'
  const details = { code: 'insufficient_quota', ...evidence }
  return { ...movesOn(new RouterError('rate_limit', words, details)), refusalStatus: 402 }
}

/** The request is too long for this model: the client can shorten it, and a fallback model may accept it. */
function tooLong(
  text: string | undefined,
  said: string | undefined,
  evidence: RouterErrorDetails,
): RouterError {
  const overflow = overflowIn(said)
  const details = { ...evidence, code: 'context_length_exceeded', ...(overflow ? { overflow } : {}) }
  return new RouterError('context_overflow', text ?? 'The request is too long for this model', details)
}

/** An error reported with status 200 or in a stream, by its code or type. */
export function failureOfReport(error: RouterError, target: Target): AttemptFailure {
  const cause = error.cause
  const code = isObject(cause) ? `${textOf(cause.code) ?? ''} ${textOf(cause.type) ?? ''}` : ''
  const details = { causeCode: error.causeCode ?? 'REPORTED', cause }
  const message = isObject(cause) ? textOf(cause.message) : undefined
  if (reportsOverflow(message) || code.split(' ').some((each) => overflowCode.test(each)))
    return final(tooLong(undefined, message, details))
  if (outOfCreditCodes.test(code)) return outOfCredit(undefined, details)
  if (/rate_?limit|too_many|429/i.test(code)) {
    const limited = { code: 'rate_limit_exceeded', ...details }
    return movesOn(new RouterError('rate_limit', 'The upstream is rate limited', limited))
  }
  if (/overloaded|unavailable|\b(?:503|529)\b/i.test(code)) {
    const status = /\b529\b/.test(code) ? 529 : 503
    const overloaded = { status, code: 'overloaded', retryAfterSeconds: 5, ...details }
    return movesOn(new RouterError('overloaded', 'The upstream is overloaded', overloaded))
  }
  if (/auth|permission|api_?key|40[123]\b/i.test(code)) {
    const refused = { code: 'upstream_auth', ...details }
    const words = 'The upstream refused the credentials of the router'
    return { ...movesOn(new RouterError('upstream_error', words, refused)), refusalStatus: 401 }
  }
  const status = refusedCodes.find(([pattern]) => pattern.test(code))?.[1]
  return status === undefined
    ? movesOn(error)
    : failureOfStatus(status, {}, JSON.stringify({ error: cause }), target)
}

/** Codes and types of reported errors that are about the request, with the status that servers use for them. */
const refusedCodes: readonly [RegExp, number][] = [
  [/\b404\b|not_?found/i, 404],
  [/\b422\b|unprocessable/i, 422],
  [/\b400\b|(?:bad|invalid)_?request|invalid_?argument/i, 400],
]

/** Failures for 4xx responses about the request rather than the target; undefined for every other status. */
function clientErrorOf(status: number): { kind: ErrorKind; details: RouterErrorDetails } | undefined {
  switch (status) {
    case 400:
      return { kind: 'bad_request', details: {} }
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

/** Google responds with 400 to an unknown key. Source: Gemini API documentation, "Troubleshooting". */
function isInvalidKey(status: number, { message = '' }: ErrorText): boolean {
  return status === 400 && /^API[ _]key (?:not valid|not found|expired)/i.test(message)
}

/**
 * Servers with several models report an unknown one with 400. llama.cpp in router mode: "model 'x' not found",
 * and "model is not loaded" if it does not load automatically. LM Studio: `model_not_found`. LiteLLM's proxy:
 * "/chat/completions: Invalid model name passed in model=x".
 */
function isUnknownModel(status: number, { code, message = '' }: ErrorText): boolean {
  if (status !== 400) return false
  return code === 'model_not_found' || unknownModelTexts.some((pattern) => pattern.test(message))
}

const unknownModelTexts: readonly RegExp[] = [
  /^(?:the )?model(?: ['"`][^'"`]{1,200}['"`])? (?:(?:was )?not found|is not loaded|does not exist)/i,
  /^\/[\w/]{1,60}: Invalid model name passed in model=/,
]

/** Ollama answers an embedding request with 400 if its engine crashed or is gone. Source: Ollama, `llm/server.go`. */
function isEngineFailure(status: number, { message = '' }: ErrorText): boolean {
  return (
    status === 400 &&
    /^(?:do embedding request|error reading embed response|unexpected server status): /.test(message)
  )
}

/**
 * Whether a 500 is about the request: Ollama's for an empty input of an embedding (`runner/ollamarunner/runner.go`), and
 * llama-cpp-python's for an invalid body (`llama_cpp/server/errors.py`).
 */
function isAboutRequest(status: number, { message = '' }: ErrorText): boolean {
  return status === 500 && requestTexts.some((pattern) => pattern.test(message))
}

const requestTexts: readonly RegExp[] = [
  /^failed to create new sequence: no input provided/i,
  /^\d{1,4} validation errors?:\s+\{'type': '\w+', 'loc': \('body',/,
]

function isOverflow(status: number, { code, message }: ErrorText): boolean {
  switch (status) {
    case 400:
    case 422:
      if (code !== undefined && overflowCode.test(code)) return true
      return reportsOverflow(message) || /context (?:length|window|size)/i.test(message ?? '')
    case 413:
      // Usually it is about bytes.
      return reportsOverflow(message) && /token|context/i.test(message ?? '')
    case 500:
      return reportsOverflow(message)
    default:
      return false
  }
}

/** OpenAI: `context_length_exceeded`; llama.cpp: `exceed_context_size_error`. */
const overflowCode = /^(?:model_)?(?:exceed_)?context_(?:length|size|window)/

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  return typeof value === 'number' ? String(value) : undefined
}
