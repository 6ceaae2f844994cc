import type { Usage } from '../../sdk/chat.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { WholeAnswer } from '../answer/whole-answer.ts'

/** Result of an attempt at one target, used by transport, loop over targets, health, metrics and traces. */
export type AttemptResult<Answer = unknown> = AttemptSuccess<Answer> | AttemptFailure

export interface AttemptSuccess<Answer = unknown> {
  type: 'success'
  /** Undefined if it was streamed to the client. */
  answer: Answer | undefined
  /** Whether its content was visible on arrival. A whole response arrives at once, however long its tokens took. */
  streamed: boolean
  /** Milliseconds from dispatch to the first content; undefined for opaque bytes. */
  firstContentMs: number | undefined
  usage: Usage | undefined
}

export interface AttemptFailure {
  type: 'failure'
  error: RouterError
  retry: Retry
  verdict: Verdict
  /** For an `ambiguous` failure; `slow`: the first content did not arrive in time. */
  kind?: 'failure' | 'slow' | undefined
  /** With `cooldown`: the pause that the target asked for, in milliseconds. */
  pauseMs?: number | undefined
  /** 401, 402, 403 or 404, if that was the target's status. */
  refusalStatus?: number | undefined
  /** The connection was closed without a response byte, as by a crashing server. */
  closedSilently?: boolean
}

/**
 * Where the request may be sent next while nothing has reached the client: to a target that has not failed it (`next`); to any
 * target, including this one (`any`); once more to the same one over a new socket (`same`); or nowhere.
 */
export type Retry = 'next' | 'any' | 'same' | 'none'

/**
 * What a failure says about its target. `connect`: it could not be reached, which is its own failure whatever the request.
 * `ambiguous`: the request may be the cause; `Lease.judge` decides once the request is over. `cooldown`: it asked for a pause
 * (429). `nothing`: the client disconnected, or its request was invalid.
 */
export type Verdict = 'connect' | 'ambiguous' | 'cooldown' | 'nothing'

/** `answer` is set if nothing has reached the client. */
export type OnResult = (result: AttemptResult<WholeAnswer>) => void

/** A failure after which another target may answer. */
export function movesOn(
  error: RouterError,
  verdict: Verdict = 'ambiguous',
  pauseMs?: number,
): AttemptFailure {
  return { type: 'failure', error, retry: 'next', verdict, ...(pauseMs === undefined ? {} : { pauseMs }) }
}

/** A failure that another target would not avoid, caused by the request or the client. */
export function final(error: RouterError): AttemptFailure {
  return { type: 'failure', error, retry: 'none', verdict: 'nothing' }
}

/** `cancelled`: says nothing about the target. Undefined: the attempt threw instead of returning a result. */
export function outcomeOf(result: AttemptResult | undefined): 'success' | 'failure' | 'cancelled' {
  if (result === undefined) return 'cancelled'
  return result.type === 'failure' && result.verdict === 'nothing' ? 'cancelled' : result.type
}
