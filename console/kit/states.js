/** States, outcomes and error codes in the words of the console. */

import { duration } from './format.js'

export const states = {
  up: ['up', 'good'],
  trial: ['on trial', 'info'],
  busy: ['rate limited', 'warn'],
  loading: ['loading', 'info'],
  hung: ['hung', 'bad'],
  asleep: ['asleep', 'none'],
  misconfigured: ['misconfigured', 'bad'],
  open: ['ejected', 'bad'],
  down: ['down', 'bad'],
  drained: ['drained', 'none'],
  standby: ['standby', 'none'],
  ready: ['all well', 'good'],
  degraded: ['degraded', 'warn'],
  unusable: ['nothing usable', 'bad'],
  draining: ['shutting down', 'warn'],
  silent: ['does not respond', 'bad'],
}

const codes = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'host name not found',
  EHOSTUNREACH: 'host not reachable',
  ENETUNREACH: 'network not reachable',
  EPIPE: 'connection closed while sending',
  ELINKLOCAL: 'link-local address rejected',
  UND_ERR_CONNECT_TIMEOUT: 'connecting took too long',
  UND_ERR_SOCKET: 'connection closed by the server',
  UND_ERR_HEADERS_OVERFLOW: 'headers too large',
  TIMEOUT_CONTENT: 'no first token in time',
  TIMEOUT_SILENCE: 'the stream fell silent',
  TIMEOUT_REQUEST: 'the response took too long',
  TIMEOUT_COUNT: 'counting took too long',
  no_healthy_provider: 'no usable server',
  model_loading: 'the model is loading',
  queue_full: 'the queue is full',
  queue_timeout: 'waited too long in the queue',
  upstream_unreachable: 'no server reachable',
  upstream_timeout: 'the server took too long',
  upstream_truncated: 'the response was cut off',
  upstream_auth: "the server rejects the router's key",
  upstream_error: 'the server failed',
  rate_limit_exceeded: 'rate limit reached',
  insufficient_quota: 'budget used up',
  BUDGET: 'budget used up',
  KEY: 'key rejected',
  context_length_exceeded: 'longer than the context',
  model_not_found: 'unknown model',
  request_too_large: 'request too large',
  deadline_exceeded: 'deadline exceeded',
  overloaded: 'the router is overloaded',
  shutting_down: 'the router is shutting down',
  invalid_api_key: 'invalid key',
  missing_api_key: 'no key',
  client_gone: 'the client disconnected',
}
const httpWords = {
  400: 'bad request',
  401: "rejects the router's key",
  403: "denies access with the router's key",
  404: 'not found',
  408: 'timeout',
  413: 'too large',
  429: 'rate limited',
  500: 'internal error',
  502: 'bad gateway',
  503: 'unavailable',
  504: 'gateway timeout',
}

/** An error code in words, or the code itself if there are none. */
export function inWords(code) {
  const [, number] = /^HTTP_(\d+)$/.exec(code) ?? []
  if (number) return httpWords[number] ? `answered ${number}, ${httpWords[number]}` : `answered ${number}`
  return codes[code] ?? code.replaceAll('_', ' ')
}

export const outcomes = {
  success: ['answered', 'good'],
  client_error: ['rejected', 'warn'],
  error: ['failed', 'bad'],
  failure: ['failed', 'bad'],
  truncated: ['truncated', 'bad'],
  client_gone: ['client disconnected', 'none'],
  cancelled: ['cancelled', 'none'],
}
/** What to add to a target's state: why it is down, and when it is tried again. */
export function stateNote({ state, down, retry_in_seconds: seconds }) {
  const why =
    { refused: ', refuses connections', silent: ', checks time out', failing: ', checks fail' }[down] ?? ''
  return `${state === 'down' ? why : ''}${seconds > 0 ? `, again in ${duration(seconds)}` : ''}`
}

/** Whether a person should look at the target. */
export function isTroubled({ state }) {
  return state !== 'up' && state !== 'standby'
}
