import { isObject, type JsonObject, textOf } from '../../lib/json/read.ts'
import type { ErrorOptions } from '../../sdk/dialect.ts'
import { type ErrorKind, needsPayment, RouterError, upstreamFailed } from '../../sdk/errors.ts'
import { messageForAnthropic } from '../shared/error-messages.ts'

/** Source: Anthropic API reference, "Errors". */
const typeOfKind: Readonly<Record<ErrorKind, string>> = {
  bad_request: 'invalid_request_error',
  context_overflow: 'invalid_request_error',
  auth: 'authentication_error',
  forbidden: 'permission_error',
  model_not_found: 'not_found_error',
  not_found: 'not_found_error',
  method_not_allowed: 'invalid_request_error',
  request_timeout: 'timeout_error',
  conflict: 'conflict_error',
  too_large: 'request_too_large',
  unsupported_media_type: 'invalid_request_error',
  unprocessable: 'invalid_request_error',
  rate_limit: 'rate_limit_error',
  overloaded: 'overloaded_error',
  upstream_error: 'api_error',
  upstream_timeout: 'timeout_error',
  client_gone: 'api_error',
  internal: 'api_error',
}

export function writeError(error: RouterError, options: ErrorOptions): JsonObject {
  return {
    type: 'error',
    error: {
      type: needsPayment(error) ? 'billing_error' : typeOfKind[error.kind],
      message: messageForAnthropic(error),
      ...(options.debug && error.causeCode !== undefined ? { debug: { cause: error.causeCode } } : {}),
    },
    ...(options.requestId === '' ? {} : { request_id: options.requestId }),
  }
}

/** The official clients ignore an error whose event has no name. */
export function writeStreamError(error: RouterError, options: ErrorOptions): string {
  return `event: error\ndata: ${JSON.stringify(writeError(error, options))}\n\n`
}

/** Anthropic has its own status for overload, and reports missing credit with 402. */
export function errorStatus(error: RouterError): number {
  if (needsPayment(error)) return 402
  return error.kind === 'overloaded' ? 529 : error.status
}

/** The upstream's text is only in the cause, for the log: it may contain hosts, paths and other models. */
export function reportedError(value: unknown): RouterError {
  const error = isObject(value) && value.error ? value.error : value
  const cause = isObject(error) ? { message: error.message, type: error.type } : { message: error }
  const details = { causeCode: 'UPSTREAM_ERROR', cause }
  switch (isObject(error) ? textOf(error.type) : undefined) {
    case 'overloaded_error':
      return new RouterError('overloaded', 'The upstream is overloaded', details)
    case 'rate_limit_error':
      return new RouterError('rate_limit', 'The upstream is rate limited', details)
    case 'timeout_error':
      return new RouterError('upstream_timeout', 'The upstream did not answer in time', details)
    default:
      return upstreamFailed('The upstream reported an error', 'UPSTREAM_ERROR', cause)
  }
}
