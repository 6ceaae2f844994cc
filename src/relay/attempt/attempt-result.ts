import type { Usage } from '../../sdk/chat.ts'
import type { RouterError } from '../../sdk/errors.ts'

/** What an attempt at one target came to: from the transport to the loop over targets, health, metrics and traces. */
export type AttemptResult<Answer = unknown> = AttemptSuccess<Answer> | AttemptFailure

export interface AttemptSuccess<Answer = unknown> {
  type: 'success'
  /** Undefined: it has been streamed to the client. */
  answer: Answer | undefined
  /** Whether its content could be seen as it came. A whole answer comes at once, however long each of its tokens took. */
  streamed: boolean
  /** Milliseconds from the dispatch to the first content; undefined for bytes whose content the router cannot see. */
  firstContentMs: number | undefined
  usage: Usage | undefined
}

export interface AttemptFailure {
  type: 'failure'
  error: RouterError
  retry: Retry
  verdict: Verdict
  /** Of an `ambiguous` one; `slow`: no first content came in time. */
  kind?: 'failure' | 'slow' | undefined
  /** With `cooldown`: how long the target asked to be left alone, in milliseconds. */
  pauseMs?: number | undefined
  /** 401, 402, 403 or 404, where the target answered so. */
  refusal?: number | undefined
  /** The connection was closed without a byte of an answer, as by a server that crashes. */
  closedSilently?: boolean
}

/**
 * Where the same request may go next while nothing has reached the client: to a target that has not failed it (`next`); to any
 * target (`any`: this one is as good as before); once more to the same one over a fresh socket (`same`); or nowhere.
 */
export type Retry = 'next' | 'any' | 'same' | 'none'

/**
 * What a failure says about its target. `connect`: it could not be reached, which is its own failure whatever the request.
 * `ambiguous`: the request may be the cause; `Lease.judge` decides once the request is over. `cooldown`: it asked for a pause
 * (429). `nothing`: the client left, or its request was invalid.
 */
export type Verdict = 'connect' | 'ambiguous' | 'cooldown' | 'nothing'

/** A failure after which another target may answer. */
export function movesOn(
  error: RouterError,
  verdict: Verdict = 'ambiguous',
  pauseMs?: number,
): AttemptFailure {
  return { type: 'failure', error, retry: 'next', verdict, ...(pauseMs === undefined ? {} : { pauseMs }) }
}

/** A failure that no other target could avoid: the client's request or the client itself is the cause. */
export function final(error: RouterError): AttemptFailure {
  return { type: 'failure', error, retry: 'none', verdict: 'nothing' }
}

/** `cancelled`: it says nothing about the target. Undefined: the attempt ended without a result, by what was thrown. */
export function outcomeOf(result: AttemptResult | undefined): 'success' | 'failure' | 'cancelled' {
  if (result === undefined) return 'cancelled'
  return result.type === 'failure' && result.verdict === 'nothing' ? 'cancelled' : result.type
}
