import { STATUS_CODES } from '../../lib/status-codes.ts'
import type { RouterError } from '../errors.ts'

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'closed the connection',
  EHOSTUNREACH: 'cannot be reached: no route to the host',
  ENETUNREACH: 'cannot be reached: no route to the network',
  ENOTFOUND: 'has a name that DNS does not know',
  EAI_AGAIN: 'has a name that DNS could not resolve in time',
  EPIPE: 'closed the connection while the request was sent',
  ETIMEDOUT: 'did not accept the connection in time',
  UND_ERR_CONNECT_TIMEOUT: 'did not accept the connection in time',
  UND_ERR_SOCKET: 'closed the connection',
  UND_ERR_HEADERS_OVERFLOW: 'sent headers that are too large',
  CERT_HAS_EXPIRED: 'has a certificate that has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'has a self-signed certificate that ca_file does not name',
  SELF_SIGNED_CERT_IN_CHAIN: 'has a certificate of an authority that ca_file does not name',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'has a certificate of an unknown authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'has a certificate for another name',
  TIMEOUT_CONTENT: 'did not start to respond in time',
  TIMEOUT_SILENCE: 'stopped in the middle of its response',
  TIMEOUT_COUNT: 'did not count the tokens in time',
  TIMEOUT_REQUEST: 'The request took too long',
  DEADLINE: "The client's deadline passed",
  deadline_exceeded: "The client's deadline passed",
  TRUNCATED: 'closed the stream before it was complete',
  upstream_truncated: 'closed the stream before it was complete',
  INVALID_ANSWER: 'sent a response that cannot be read',
  BAD_ANSWER: 'sent a response that cannot be read',
  LINE_TOO_LONG: 'sent a line that is too long',
  EMPTY_PROMPT: 'returned no response to this prompt',
  UPSTREAM_ABORTED: 'aborted the response',
  UPSTREAM_ERROR: 'reported an error',
  upstream_error: 'reported an error',
  SERVER_DOWN: 'went down while the request waited for it',
  SERVERS_GONE: 'Two servers stopped while processing the request; it was not sent to another one',
  LEASE_LOST: 'was taken over by another router',
  lease_lost: 'was taken over by another router',
  REDIS_DOWN: 'Redis is unavailable, and no target can be reserved without it',
  lease_store_down: 'Redis is unavailable, and no target can be reserved without it',
  KEY_CONCURRENT: 'The key has reached its limit of concurrent requests',
  KEY_REQUESTS: 'The key has used up its requests per minute',
  KEY_TOKENS: 'The key has used up its tokens per minute',
  BUDGET: 'The budget is used up',
  budget_unavailable: 'The budget could not be checked because the database is unavailable',
  no_healthy_provider: 'No server of the model is usable',
  model_loading: 'The servers of the model are loading it',
  queue_full: 'The queue of the model is full',
  queue_timeout: 'No slot at a server became free in time',
  upstream_unreachable: 'cannot be reached',
  upstream_timeout: 'did not answer in time',
  upstream_auth: 'rejects the api_token of this router',
  upstream_forbidden: 'denied the request',
  insufficient_quota: 'has no credit left',
  rate_limit_exceeded: 'asks for a pause',
  context_length_exceeded: 'The prompt is longer than the context of the model',
  model_not_found: 'The model does not exist',
  missing_api_key: 'The client sent no key',
  invalid_api_key: 'The client sent an invalid key',
  endpoint_not_allowed: 'The key may not use this endpoint',
  too_many_failed_logins: 'Too many invalid keys came from this address',
  max_tokens_exceeded: 'The client asked for more tokens than its key allows',
  request_too_large: 'The body is too large',
  body_budget_exceeded: 'The router has no memory for another request body',
  overloaded: 'The router is overloaded',
  shutting_down: 'The router is shutting down',
  timeout: 'The request took too long',
  client_gone: 'The client closed the connection',
  internal_error: 'Internal error of the router; see its log',
}

/** Describes an error code. A description that begins in lower case is a predicate whose subject is the target. */
export function errorWords(code: string): string {
  const status = /^HTTP_(\d{3})$/.exec(code)?.[1]
  if (status !== undefined) return `answered ${status} (${STATUS_CODES[status] ?? 'unknown status'})`
  return words[code] ?? code
}

/** The code of an error that may be shown: one of the router or of Node, because an upstream's own could contain anything. */
export function safeCodeOf({ causeCode, code, kind }: RouterError): string {
  return [causeCode, code].find((each) => each !== undefined && /^[\w.-]{1,64}$/.test(each)) ?? kind
}
