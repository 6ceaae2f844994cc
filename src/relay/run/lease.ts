import { RouterError } from '../../sdk/errors.ts'
import type { PickReason, RoutingRequest } from '../../sdk/strategy.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { AttemptFailure, AttemptResult } from '../attempt/attempt-result.ts'
import type { RequestTraits } from '../request/request-traits.ts'

/** How a request waits for a place at a target. */
export interface Turn {
  /** Share of its client among those that wait, over 0. */
  readonly weight: number
  /** No attempt begins after this, on the clock of `performance.now()`; undefined: the client sets no deadline. */
  readonly deadlineAt: number | undefined
}

/** Of a client whose key says nothing. */
export const plainTurn: Turn = { weight: 1, deadlineAt: undefined }

/** What an attempt needs of a target. */
export interface TargetWish {
  /** Ids of the targets that failed this request: a reload may replace a target, its id stays. */
  readonly tried: ReadonlySet<string>
  readonly traits: RequestTraits
  /** What strategies see of the request. */
  readonly request: RoutingRequest
  readonly turn: Turn
  /** Only these can answer; absent: all of the model. */
  readonly can?: ((target: Target) => boolean) | undefined
  /** No further attempt follows this one. */
  readonly isLast: boolean
  /** Another model answers if no target of this one does. */
  readonly hasFallback: boolean
}

/** At once, where there is nothing to wait for. */
export type Acquired = Lease | undefined | Promise<Lease | undefined>

/** Picks and reserves a target; undefined when none is left. */
export type Acquire = (model: Model, wish: TargetWish, signal: AbortSignal) => Acquired

/** A picked and reserved target. */
export interface Lease {
  readonly target: Target
  /** Aborted when another process has taken the target over. Absent: nobody can. */
  readonly revoked?: AbortSignal | undefined
  /** Whether the target has answered anybody since it was configured, so that its key and model are valid. */
  readonly hasAnswered: boolean
  /** Why it was picked; absent: nothing is known. */
  readonly reason?: PickReason | undefined
  /** The first content of a stream has come. */
  answering(): void
  /** Gives the target back; undefined: the attempt threw. The first call counts, later ones do nothing. */
  settle(result: AttemptResult | undefined): void
  /** To be called after an `ambiguous` failure, when the request is over. */
  judge(judgement: Judgement): void
}

/** What is known of an `ambiguous` failure once its request is over. */
export interface Judgement extends Pick<AttemptFailure, 'refusal'> {
  /**
   * Who answered in the end. `target`: another target of the same model, so the failure is this one's own. `nobody`: none of
   * them, so the request itself may be the cause. `fallback`, after `nobody`: another model did. `unknown`: the request ended
   * before that showed.
   */
  answeredBy: 'target' | 'fallback' | 'nobody' | 'unknown'
  kind: 'failure' | 'slow'
  /** Features of the request, see `RequestTraits`. */
  features: number
  /**
   * What the request names that a server with a valid key and model may lack: an operation, or a thing of a client's own, as a
   * file or an adapter.
   */
  names: 'operation' | 'thing' | undefined
  /** Digest of operation and body; undefined where the body is not known. */
  fingerprint: string | undefined
}

/** Of a request for which its client gives no more time. */
export function deadlineExceeded(): RouterError {
  return new RouterError('upstream_timeout', 'The deadline of the request passed before a model answered', {
    code: 'deadline_exceeded',
    causeCode: 'DEADLINE',
    shouldRetry: false,
  })
}
