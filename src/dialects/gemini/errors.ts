import { isObject, type JsonObject, textOf } from '../../lib/json/read.ts'
import type { ErrorOptions } from '../../sdk/dialect.ts'
import { type ErrorKind, type RouterError, upstreamFailed } from '../../sdk/errors.ts'

/** Source: google.rpc.Code, and Gemini API documentation, "Troubleshooting". */
const statusOfKind: Readonly<Record<ErrorKind, string>> = {
  bad_request: 'INVALID_ARGUMENT',
  context_overflow: 'INVALID_ARGUMENT',
  auth: 'UNAUTHENTICATED',
  forbidden: 'PERMISSION_DENIED',
  model_not_found: 'NOT_FOUND',
  not_found: 'NOT_FOUND',
  method_not_allowed: 'UNIMPLEMENTED',
  request_timeout: 'DEADLINE_EXCEEDED',
  conflict: 'ABORTED',
  too_large: 'INVALID_ARGUMENT',
  unsupported_media_type: 'INVALID_ARGUMENT',
  unprocessable: 'INVALID_ARGUMENT',
  rate_limit: 'RESOURCE_EXHAUSTED',
  overloaded: 'UNAVAILABLE',
  upstream_error: 'INTERNAL',
  upstream_timeout: 'DEADLINE_EXCEEDED',
  client_gone: 'CANCELLED',
  internal: 'INTERNAL',
}

export function writeError(error: RouterError, options: ErrorOptions): JsonObject {
  const details = detailsOf(error, options)
  return {
    error: {
      code: error.status,
      message: messageOf(error),
      status: statusOfKind[error.kind],
      ...(details.length === 0 ? {} : { details }),
    },
  }
}

/** Gemini CLI waits for the delay in `RetryInfo`. Source: google.rpc.error_details. */
function detailsOf(
  { code, param, retryAfterSeconds, causeCode }: RouterError,
  { debug }: ErrorOptions,
): JsonObject[] {
  const head = (name: string): JsonObject => ({ '@type': `type.googleapis.com/google.rpc.${name}` })
  return [
    ...(code === undefined
      ? []
      : [{ ...head('ErrorInfo'), reason: code.toUpperCase(), domain: 'llm-router' }]),
    ...(param === undefined ? [] : [{ ...head('BadRequest'), fieldViolations: [{ field: param }] }]),
    ...(retryAfterSeconds === undefined
      ? []
      : [{ ...head('RetryInfo'), retryDelay: `${retryAfterSeconds}s` }]),
    ...(debug && causeCode !== undefined ? [{ ...head('DebugInfo'), detail: causeCode }] : []),
  ]
}

/** Clients recognize a context overflow by this text, and then shorten the conversation. */
function messageOf({ kind, message }: RouterError): string {
  if (kind !== 'context_overflow' || /input token count/i.test(message)) return message
  return `The input token count exceeds the maximum number of tokens allowed: ${message}`
}

/** The official client treats an event with error data as an error. */
export function writeStreamError(error: RouterError, options: ErrorOptions): string {
  return `data: ${JSON.stringify(writeError(error, options))}\n\n`
}

/** The upstream's text is only in the cause, for the log: it may contain hosts, paths and other models. */
export function reportedError(value: unknown): RouterError {
  const first: unknown = Array.isArray(value) ? value[0] : value
  const error = isObject(first) && first.error ? first.error : first
  const cause = isObject(error)
    ? { message: error.message, type: textOf(error.status), code: error.code }
    : { message: error, type: undefined, code: undefined }
  return upstreamFailed('The upstream reported an error', 'UPSTREAM_ERROR', cause)
}
