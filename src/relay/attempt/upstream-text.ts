import { isObject } from '../../lib/json/read.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { Target } from '../../sdk/target.ts'
import type { UpstreamRequest } from '../../sdk/transport.ts'
import { repeatsRequest } from './request-echo.ts'
import { safeUpstreamText } from './safe-text.ts'

const maxLoggedLength = 300
/** Of errors that dialects read in an answer or a stream. */
const reportedCode = 'UPSTREAM_ERROR'

/**
 * Keeps for the log what an upstream said with a 5xx, or reports as such with status 200 or in a stream, which the client hears in
 * the router's own words: without it nobody learns why a server fails. Left out where it holds an address, a path or a key, or repeats a part of the request.
 */
export function noteUpstreamText(
  error: RouterError,
  target: Target,
  { body }: Pick<UpstreamRequest, 'body'>,
): void {
  const said = isServerSide(error) ? saidIn(error) : undefined
  const text = safeUpstreamText(said, target)?.slice(0, maxLoggedLength)
  if (text !== undefined && !repeatsRequest(text, body)) error.upstreamText = text
}

/** Others reach the client in the upstream's words: the request is at error, and no operator has to look into it. */
function isServerSide({ kind }: RouterError): boolean {
  return kind === 'upstream_error' || kind === 'upstream_timeout' || kind === 'overloaded'
}

function saidIn({ cause, causeCode }: RouterError): string | undefined {
  if (!isObject(cause) || typeof cause.message !== 'string') return undefined
  const status = causeCode === reportedCode ? cause.code : cause.status
  return typeof status === 'number' && status >= 500 ? cause.message : undefined
}
