import { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import { failureOfStatus } from '../attempt/status-failure.ts'
import { timeoutFailure } from '../attempt/upstream-failure.ts'
import type { RelayServices } from '../services.ts'
import { askEngine } from '../upstream/ask-engine.ts'

/** A response with images can be this large. */
const maxBytes = 32 * 1024 * 1024

export interface HeldResponseRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** What follows the path of the response, such as `/cancel` or `?include=usage`. */
  readonly suffix: string
}

/**
 * Sends a request about a response to the server that stores it, and returns the JSON of its answer. There is no failover,
 * because no other server has the response. Throws the client's error.
 */
export async function requestHeldResponse(
  id: string,
  { method, suffix }: HeldResponseRequest,
  target: Target,
  { exchange, transportOf, timeoutMs, userAgent }: RelayServices,
): Promise<string> {
  exchange.target = target.id
  exchange.providerType = target.type.name
  const path = `${target.paths.responses}/${encodeURIComponent(id)}${suffix}`
  const request = { path, method, maxBytes, ...(method === 'POST' ? { body: {} } : {}) }
  const { signal } = exchange
  const options = { transport: transportOf(target), timeoutMs, userAgent, signal }
  const { status, text, timedOut } = await exchange.steps.awaitExternal(askEngine(target, request, options))
  signal.throwIfAborted()
  if (status === undefined) throw timedOut ? timeoutFailure('content').error : unreachable()
  if (status === 404) throw responseNotFound(id)
  if (status < 200 || status > 299) throw failureOfStatus(status, {}, text, target).error
  if (text === undefined) throw new RouterError('upstream_error', 'The response of the upstream is too large')
  return text
}

export function responseNotFound(id: string): RouterError {
  return new RouterError('not_found', `Response with id '${id.slice(0, 128)}' not found`)
}

function unreachable(): RouterError {
  const words = 'The server that stores the response cannot be reached'
  return new RouterError('upstream_error', words, { code: 'upstream_unreachable' })
}
