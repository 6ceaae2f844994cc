import type { JsonObject } from '../../lib/json/read.ts'
import type { ErrorOptions } from '../../sdk/dialect.ts'
import type { ErrorKind, RouterError } from '../../sdk/errors.ts'
import { messageForOpenai } from './error-messages.ts'

interface TypeAndCode {
  type: string
  code: string | null
}

const invalidRequest = 'invalid_request_error'

/** Source: OpenAI API guides, "Error codes". The codes of 5xx errors are the router's own: OpenAI defines none. */
const typeAndCode: Readonly<Record<ErrorKind, TypeAndCode>> = {
  bad_request: { type: invalidRequest, code: null },
  context_overflow: { type: invalidRequest, code: 'context_length_exceeded' },
  auth: { type: invalidRequest, code: 'invalid_api_key' },
  forbidden: { type: 'permission_error', code: null },
  model_not_found: { type: invalidRequest, code: 'model_not_found' },
  not_found: { type: invalidRequest, code: null },
  method_not_allowed: { type: invalidRequest, code: null },
  request_timeout: { type: invalidRequest, code: null },
  conflict: { type: invalidRequest, code: null },
  too_large: { type: invalidRequest, code: 'request_too_large' },
  unsupported_media_type: { type: invalidRequest, code: null },
  unprocessable: { type: invalidRequest, code: null },
  rate_limit: { type: 'rate_limit_error', code: 'rate_limit_exceeded' },
  overloaded: { type: 'server_error', code: 'overloaded' },
  upstream_error: { type: 'server_error', code: 'upstream_error' },
  upstream_timeout: { type: 'server_error', code: 'timeout' },
  client_gone: { type: 'server_error', code: null },
  internal: { type: 'server_error', code: 'internal_error' },
}

/** OpenAI's error body; on the router's own paths also the members `status` and `body`, for older clients. */
export function writeOpenaiError(error: RouterError, options: ErrorOptions): JsonObject {
  const body = { error: describeForOpenai(error, options.debug) }
  return options.ownPath ? { status: false, body: messageForOpenai(error), ...body } : body
}

/** The `error` member, also of an error event in a stream. */
export function describeForOpenai(error: RouterError, debug: boolean): JsonObject {
  const { type, code } = typeAndCode[error.kind]
  return {
    message: messageForOpenai(error),
    type: error.code === 'insufficient_quota' ? error.code : type,
    param: error.param ?? null,
    code: error.code ?? code,
    ...(debug && error.causeCode !== undefined ? { debug: { cause: error.causeCode } } : {}),
  }
}
