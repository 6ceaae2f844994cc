import { isObject, type JsonObject } from '../../lib/json/read.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import { failureOfReport, failureOfStatus } from '../attempt/status-failure.ts'
import { timeoutFailure, unreadableFailure } from '../attempt/upstream-failure.ts'
import type { RelayServices } from '../services.ts'
import { askEngine } from '../upstream/ask-engine.ts'
import { isSuccess } from '../upstream/upstream-answer.ts'
import { reportedError } from './opaque-answer.ts'

/** A response with images can be this large. */
const maxBytes = 32 * 1024 * 1024

export interface HeldResponseRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** What follows the path of the response, such as `/cancel` or `?include=usage`. */
  readonly suffix: string
}

/** What the server sent: its text, and the object in it. */
export interface HeldResponseAnswer {
  readonly text: string
  readonly parsed: JsonObject
}

/**
 * Sends a request about a response to the server that stores it, and returns its answer. There is no failover,
 * because no other server has the response. Throws the client's error.
 */
export async function requestHeldResponse(
  id: string,
  { method, suffix }: HeldResponseRequest,
  target: Target,
  { exchange, transportOf, timeoutMs, userAgent }: RelayServices,
): Promise<HeldResponseAnswer> {
  exchange.target = target.id
  exchange.providerType = target.type.name
  const path = `${target.paths.responses}/${encodeURIComponent(id)}${suffix}`
  const request = { path, method, maxBytes, ...(method === 'POST' ? { body: {} } : {}) }
  const { signal } = exchange
  const options = { transport: transportOf(target), timeoutMs, userAgent, signal }
  const { status, headers, text, timedOut } = await exchange.steps.awaitExternal(
    askEngine(target, request, options),
  )
  signal.throwIfAborted()
  if (status === undefined) throw timedOut ? timeoutFailure('content').error : unreachable()
  if (status === 404) throw responseNotFound(id)
  if (!isSuccess(status)) throw failureOfStatus(status, headers, text, target).error
  if (text === undefined) throw new RouterError('upstream_error', 'The response of the upstream is too large')
  return method === 'DELETE' && text === '' ? confirmDeletion(id) : { text, parsed: readAnswer(text, target) }
}

/** For servers that confirm a deletion with 204. */
function confirmDeletion(id: string): HeldResponseAnswer {
  const parsed = { id, object: 'response', deleted: true }
  return { text: JSON.stringify(parsed), parsed }
}

/** Throws the client's error if a server, or a proxy before it, reports an error or an HTML page with status 2xx. */
function readAnswer(text: string, target: Target): JsonObject {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    throw unreadableFailure(error).error
  }
  if (!isObject(parsed)) throw unreadableFailure().error
  // A response that has failed has an error, too.
  if (parsed.error && parsed.object !== 'response')
    throw failureOfReport(reportedError(parsed.error), target).error
  return parsed
}

export function responseNotFound(id: string): RouterError {
  return new RouterError('not_found', `Response with id '${id.slice(0, 128)}' not found`)
}

function unreachable(): RouterError {
  const words = 'The server that stores the response cannot be reached'
  return new RouterError('upstream_error', words, { code: 'upstream_unreachable' })
}
