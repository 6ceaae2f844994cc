import { ConnectError } from '../../lib/connect-error.ts'
import { RouterError, streamTruncated, upstreamFailed } from '../../sdk/errors.ts'
import { isClose, isOwnError, isUnreachable, socketCode } from '../upstream/connection-errors.ts'
import { type AttemptFailure, final, movesOn } from './attempt-result.ts'

/**
 * An attempt that ended with a socket or protocol error. `answered`: response headers had arrived. `reusedSocket`: it was a
 * kept-alive socket, which the upstream may have closed just before without reading the request.
 */
export function failureOfError(error: Error, answered: boolean, reusedSocket: boolean): AttemptFailure {
  const code = socketCode(error)
  if (isOwnError(error)) {
    const details = { code: 'overloaded', causeCode: code, cause: error, retryAfterSeconds: 1 }
    return final(new RouterError('overloaded', 'The router is overloaded', details))
  }
  if (error instanceof ConnectError) {
    if (answered) return movesOn(streamTruncated())
    const details = { code: 'upstream_unreachable', causeCode: code, cause: error }
    const words = `The upstream could not be reached: ${error.message}`
    return movesOn(new RouterError('upstream_error', words, details), 'connect')
  }
  if (isUnreachable(error)) {
    const timedOut = code === 'UND_ERR_CONNECT_TIMEOUT'
    return movesOn(
      new RouterError(timedOut ? 'upstream_timeout' : 'upstream_error', 'The upstream could not be reached', {
        code: 'upstream_unreachable',
        causeCode: code,
        cause: error,
      }),
      'connect',
    )
  }
  if (answered) return movesOn(streamTruncated())
  if (reusedSocket) {
    const closed = upstreamFailed('The upstream closed the connection', code, error)
    return { type: 'failure', error: closed, retry: 'same', verdict: 'nothing' }
  }
  const failure = movesOn(
    upstreamFailed('The upstream closed the connection without a response', code, error),
  )
  return isClose(error) ? { ...failure, closedSilently: true } : failure
}

/** `content`: no content arrived in time; `silence`: the response stalled. */
export function timeoutFailure(what: 'content' | 'silence'): AttemptFailure {
  const text = what === 'silence' ? 'The upstream stopped sending' : 'The upstream did not answer in time'
  const error = new RouterError('upstream_timeout', text, {
    code: 'upstream_timeout',
    causeCode: what === 'silence' ? 'TIMEOUT_SILENCE' : 'TIMEOUT_CONTENT',
  })
  return { ...movesOn(error), kind: 'slow' }
}

/** The lease was revoked: another request holds the target now. */
export function revokedFailure(): AttemptFailure {
  const error = new RouterError('overloaded', 'The upstream was reserved by another request', {
    code: 'lease_lost',
    causeCode: 'LEASE_LOST',
    retryAfterSeconds: 5,
  })
  return { type: 'failure', error, retry: 'any', verdict: 'nothing' }
}

export function unreadableFailure(cause?: unknown): AttemptFailure {
  return movesOn(upstreamFailed('The upstream sent a response that cannot be read', 'INVALID_ANSWER', cause))
}
