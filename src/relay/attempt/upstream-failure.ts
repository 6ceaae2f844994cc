import { ConnectError } from '../../lib/connect-error.ts'
import { RouterError, streamTruncated, upstreamFailed } from '../../sdk/errors.ts'
import type { Verdict } from '../../sdk/lease.ts'
import { refusedAddressCode } from '../upstream/checked-lookup.ts'

/**
 * Where the same request may go next while nothing has reached the client: to a target not tried yet; to any one (`anew`:
 * this one is as good as before); once more to the same one over a fresh socket; or nowhere.
 */
export type Retry = 'next' | 'anew' | 'same' | 'none'

export interface Failure {
  error: RouterError
  retry: Retry
  /** What it says about the target. */
  verdict: Verdict
  /** Of an `undecided` one; `slow`: no first content came in time. */
  kind?: 'failure' | 'slow' | undefined
  /** With `cooldown`: how long the target asked to be left alone, in milliseconds. */
  pauseMs?: number | undefined
  /** 401, 402, 403 or 404, where the target answered so. */
  refusal?: number | undefined
  /** The connection was closed without a byte of an answer, as by a server that crashes. */
  closedSilently?: boolean
}

const connectCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  refusedAddressCode,
])

/** How a socket ends that its server closes. */
const closeCodes = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/** They say nothing about the target, and another one is no better. */
const ownCodes = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'])

/** Whether the call failed because the router has no more files, memory or buffers. */
export function isOwnError(error: Error): boolean {
  return ownCodes.has(codeOf(error))
}

/** Whether no connection could be made, so that no server there has seen anything of the request. */
export function isUnreachable(error: Error): boolean {
  return connectCodes.has(codeOf(error)) || error instanceof ConnectError
}

/**
 * A call that ended with a socket or protocol error. `answered`: response headers had come. `reusedSocket`: it was a
 * kept-alive one, which the upstream may have closed just before; then the request was not read.
 */
export function failureOfError(error: Error, answered: boolean, reusedSocket: boolean): Failure {
  const code = codeOf(error)
  if (isOwnError(error)) {
    const details = { code: 'overloaded', causeCode: code, cause: error, retryAfterSeconds: 1 }
    return none(new RouterError('overloaded', 'The router is overloaded', details))
  }
  if (error instanceof ConnectError && !answered) {
    const details = { code: 'upstream_unreachable', causeCode: code, cause: error }
    const words = `The upstream could not be reached: ${error.message}`
    return next(new RouterError('upstream_error', words, details), 'connect')
  }
  if (connectCodes.has(code)) {
    const timedOut = code === 'UND_ERR_CONNECT_TIMEOUT'
    return next(
      new RouterError(timedOut ? 'upstream_timeout' : 'upstream_error', 'The upstream could not be reached', {
        code: 'upstream_unreachable',
        causeCode: code,
        cause: error,
      }),
      'connect',
    )
  }
  if (answered) return next(streamTruncated())
  if (reusedSocket) {
    const closed = upstreamFailed('The upstream closed the connection', code, error)
    return { error: closed, retry: 'same', verdict: 'nothing' }
  }
  const failure = next(upstreamFailed('The upstream closed the connection without an answer', code, error))
  return closeCodes.has(code) ? { ...failure, closedSilently: true } : failure
}

export function timeoutFailure(what: 'connect' | 'content' | 'silence'): Failure {
  const text = what === 'silence' ? 'The upstream stopped sending' : 'The upstream did not answer in time'
  const error = new RouterError('upstream_timeout', text, {
    code: 'upstream_timeout',
    causeCode: `TIMEOUT_${what.toUpperCase()}`,
  })
  return what === 'connect' ? next(error, 'connect') : { ...next(error), kind: 'slow' }
}

/** The target is another request's now: exclusive again when this one leaves it. */
export function leaseLostFailure(): Failure {
  const error = new RouterError('overloaded', 'The upstream was taken by another request', {
    code: 'lease_lost',
    causeCode: 'LEASE_LOST',
    retryAfterSeconds: 5,
  })
  return { error, retry: 'anew', verdict: 'nothing' }
}

export function garbageFailure(cause?: unknown): Failure {
  return next(upstreamFailed('The upstream sent an answer that cannot be read', 'INVALID_ANSWER', cause))
}

function codeOf(error: Error): string {
  const code = 'code' in error ? error.code : undefined
  if (typeof code === 'string') return code
  // A host with several addresses fails with an AggregateError; any of its parts tells why.
  if (error instanceof AggregateError) {
    const first: unknown = error.errors[0]
    if (first instanceof Error) return codeOf(first)
  }
  return error.name
}

export function next(error: RouterError, verdict: Verdict = 'undecided', pauseMs?: number): Failure {
  return { error, retry: 'next', verdict, ...(pauseMs === undefined ? {} : { pauseMs }) }
}

/** The request is at error, not the target. */
export function none(error: RouterError): Failure {
  return { error, retry: 'none', verdict: 'nothing' }
}
