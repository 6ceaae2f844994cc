/** Kinds of errors, independent of the dialects. Each dialect maps a kind to its own vocabulary. */
export type ErrorKind =
  | 'bad_request'
  | 'context_overflow'
  | 'auth'
  | 'forbidden'
  | 'model_not_found'
  | 'not_found'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'conflict'
  | 'too_large'
  | 'unsupported_media_type'
  | 'unprocessable'
  | 'rate_limit'
  | 'overloaded'
  | 'upstream_error'
  | 'upstream_timeout'
  | 'client_gone'
  | 'internal'

const statusOfKind: Record<ErrorKind, number> = {
  bad_request: 400,
  context_overflow: 400,
  auth: 401,
  forbidden: 403,
  model_not_found: 404,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  conflict: 409,
  too_large: 413,
  unsupported_media_type: 415,
  unprocessable: 422,
  rate_limit: 429,
  overloaded: 503,
  upstream_error: 502,
  upstream_timeout: 504,
  client_gone: 499,
  internal: 500,
}

/** Token counts of a request that is too long, as the upstream counts them. */
export interface ContextOverflow {
  contextTokens: number
  inputTokens: number
  /** Remaining tokens for the response; absent if the prompt itself is too long, or unknown. */
  maxTokens?: number
}

export interface RouterErrorDetails {
  /** Machine-readable code that the client sees, such as `model_not_found`. */
  code?: string
  /** The request field with the error, such as `messages[2].content`. */
  param?: string
  /** HTTP status, if it differs from the default of the kind. */
  status?: number
  /** Seconds after which a retry makes sense; becomes the `Retry-After` header. */
  retryAfterSeconds?: number
  /** The upstream's retry hint; sent as `x-should-retry`, which the OpenAI and Anthropic clients obey. */
  shouldRetry?: boolean
  /** The message contains upstream text, which may quote a prompt; it is not logged. */
  quotesUpstream?: boolean
  /** The underlying error: for the log, not for the client. */
  cause?: unknown
  /** Sizes of a context overflow, if reported by the upstream. */
  overflow?: ContextOverflow
  /** The requested model name, if there is no such model; the message quotes it. */
  unknownModel?: string
  /** Short cause code such as `ECONNREFUSED`: always logged, shown to clients in debug mode only. */
  causeCode?: string
}

/** The only error class whose message is sent to clients. The message contains no address, file path or key. */
export class RouterError extends Error {
  readonly kind: ErrorKind
  readonly status: number
  readonly code: string | undefined
  readonly param: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly shouldRetry: boolean | undefined
  readonly causeCode: string | undefined
  readonly quotesUpstream: boolean
  readonly overflow: ContextOverflow | undefined
  readonly unknownModel: string | undefined
  /** The upstream's text, if it may be logged but not sent to the client; see relay/attempt/safe-text.ts. */
  upstreamText: string | undefined

  constructor(kind: ErrorKind, message: string, details: RouterErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'RouterError'
    this.kind = kind
    this.status = details.status ?? statusOfKind[kind]
    this.code = details.code
    this.param = details.param
    this.retryAfterSeconds = details.retryAfterSeconds
    this.shouldRetry = details.shouldRetry
    this.causeCode = details.causeCode
    this.quotesUpstream = details.quotesUpstream ?? false
    this.overflow = details.overflow
    this.unknownModel = details.unknownModel
  }

  /** Returns a copy with another message. */
  withMessage(message: string): RouterError {
    return Object.assign(new RouterError(this.kind, message, { cause: this.cause }), this)
  }
}

const permanentCodes = new Set(['upstream_auth', 'insufficient_quota'])

/** Whether a retry cannot succeed, although the status suggests one, until the configuration is changed. */
export function isPermanent({ code, cause }: RouterError): boolean {
  if (code !== undefined && permanentCodes.has(code)) return true
  const causeCode = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
  return typeof causeCode === 'string' && permanentCodes.has(causeCode)
}

/**
 * Whether an account has no credit left, which somebody must pay for. A quota with a known reset time is a rate limit instead.
 */
export function needsPayment({ code, retryAfterSeconds }: RouterError): boolean {
  return code === 'insufficient_quota' && retryAfterSeconds === undefined
}

/** An invalid configuration: all errors with their positions. At startup the process exits with code 2. */
export class ConfigError extends Error {
  readonly errors: readonly string[]
  /** Warnings, which may explain an error. */
  readonly warnings: readonly string[]

  constructor(errors: readonly string[], warnings: readonly string[] = []) {
    super(errors.join('\n'))
    this.name = 'ConfigError'
    this.errors = errors
    this.warnings = warnings
  }
}

export function badRequest(message: string, param?: string, code?: string): RouterError {
  return new RouterError('bad_request', message, {
    ...(param === undefined ? {} : { param }),
    ...(code === undefined ? {} : { code }),
  })
}

export function modelNotFound(name: string): RouterError {
  return new RouterError('model_not_found', `The model '${name}' does not exist`, {
    code: 'model_not_found',
    param: 'model',
    unknownModel: name,
  })
}

/** Error for a stream that the upstream truncated after its first content; reported in-band. */
export function streamTruncated(): RouterError {
  return new RouterError('upstream_error', 'Upstream closed the stream before it was complete', {
    code: 'upstream_truncated',
    causeCode: 'TRUNCATED',
  })
}

export function upstreamFailed(message: string, causeCode: string, cause?: unknown): RouterError {
  return new RouterError('upstream_error', message, { code: 'upstream_error', causeCode, cause })
}

/** Error for a request body above the size limit. */
export function tooLarge(): RouterError {
  return new RouterError('too_large', 'The body is too large', { code: 'request_too_large' })
}

/** Converts any thrown value to a RouterError; anything else than a RouterError becomes a 500 without details. */
export function asRouterError(error: unknown): RouterError {
  if (error instanceof RouterError) return error
  return new RouterError('internal', 'Internal error', { code: 'internal_error', cause: error })
}
