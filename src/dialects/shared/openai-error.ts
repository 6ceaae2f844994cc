import type { ErrorOptions } from '../../sdk/dialect.ts'
import type { ErrorKind, RouterError } from '../../sdk/errors.ts'
import { openaiOverflow } from './overflow-words.ts'

interface Vocabulary {
  type: string
  code: string | null
}

const refused = 'invalid_request_error'

/** Source: OpenAI API guides, "Error codes"; the codes of 5xx are our own, OpenAI gives none there. */
const vocabulary: Readonly<Record<ErrorKind, Vocabulary>> = {
  bad_request: { type: refused, code: null },
  context_overflow: { type: refused, code: 'context_length_exceeded' },
  auth: { type: refused, code: 'invalid_api_key' },
  forbidden: { type: 'permission_error', code: null },
  model_not_found: { type: refused, code: 'model_not_found' },
  not_found: { type: refused, code: null },
  method_not_allowed: { type: refused, code: null },
  request_timeout: { type: refused, code: null },
  conflict: { type: refused, code: null },
  too_large: { type: refused, code: 'request_too_large' },
  unsupported_media_type: { type: refused, code: null },
  unprocessable: { type: refused, code: null },
  rate_limit: { type: 'rate_limit_error', code: 'rate_limit_exceeded' },
  overloaded: { type: 'server_error', code: 'overloaded' },
  upstream_error: { type: 'server_error', code: 'upstream_error' },
  upstream_timeout: { type: 'server_error', code: 'timeout' },
  client_gone: { type: 'server_error', code: null },
  internal: { type: 'server_error', code: 'internal_error' },
}

/** OpenAI's error body; on the router's own paths with the `status` and `body` that older clients look at. */
export function writeOpenaiError(error: RouterError, options: ErrorOptions): Record<string, unknown> {
  const body = { error: describeForOpenai(error, options.debug) }
  return options.ownPath ? { status: false, body: openaiOverflow(error), ...body } : body
}

/** The `error` member, which streams carry too. */
export function describeForOpenai(error: RouterError, debug: boolean): Record<string, unknown> {
  const { type, code } = vocabulary[error.kind]
  return {
    message: openaiOverflow(error),
    type: error.code === 'insufficient_quota' ? error.code : type,
    param: error.param ?? null,
    code: error.code ?? code,
    ...(debug && error.causeCode !== undefined ? { debug: { cause: error.causeCode } } : {}),
  }
}
