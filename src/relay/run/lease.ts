import { RouterError } from '../../sdk/errors.ts'
import type { PickReason, RoutingRequest } from '../../sdk/strategy.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { AttemptFailure, AttemptResult } from '../attempt/attempt-result.ts'
import type { RequestTraits } from '../request/request-traits.ts'

/** How a request waits for a slot at a target. */
export interface Turn {
  /** Weight of its client among those that wait, over 0. */
  readonly weight: number
  /** No attempt begins after this time of `performance.now()`; undefined: no deadline. */
  readonly deadlineAt: number | undefined
}

/** For clients whose key does not set it. */
export const defaultTurn: Turn = { weight: 1, deadlineAt: undefined }

/** What an attempt requires of a target. */
export interface PickContext {
  /** Ids of the targets that failed this request: a reload may replace a target but keeps its id. */
  readonly tried: ReadonlySet<string>
  readonly traits: RequestTraits
  /** The request as strategies see it. */
  readonly request: RoutingRequest
  readonly turn: Turn
  /** Only these can answer; absent: all targets of the model. */
  readonly canServe?: ((target: Target) => boolean) | undefined
  /** No further attempt follows this one. */
  readonly isLast: boolean
  /** Another model answers if no target of this one does. */
  readonly hasFallback: boolean
}

/** Synchronous if there is nothing to wait for. */
export type Acquired = Lease | undefined | Promise<Lease | undefined>

/** Picks and reserves a target; undefined if none is left. */
export type Acquire = (model: Model, context: PickContext, signal: AbortSignal) => Acquired

/** A picked and reserved target. */
export interface Lease {
  readonly target: Target
  /** Aborted when another process takes the target over. Absent if that is impossible. */
  readonly revoked?: AbortSignal | undefined
  /** Whether the target has answered any request since it was configured, so its key and model are valid. */
  readonly hasAnswered: boolean
  /** Why it was picked, if known. */
  readonly reason?: PickReason | undefined
  /** The first content of a stream has arrived. */
  contentSeen(): void
  /** Releases the target; undefined: the attempt threw. Only the first call has an effect. */
  settle(result: AttemptResult | undefined): void
  /** Call after an `ambiguous` failure, at the end of the request. */
  judge(judgement: Judgement): void
}

/** What is known about an `ambiguous` failure at the end of its request. */
export interface Judgement extends Pick<AttemptFailure, 'refusalStatus'> {
  /**
   * Who answered. `target`: another target of the same model, so this target is at fault. `nobody`: none of
   * them, so the request itself may be the cause. `fallback`, after `nobody`: another model did. `unknown`: the request ended
   * before that was known.
   */
  answeredBy: 'target' | 'fallback' | 'nobody' | 'unknown'
  kind: 'failure' | 'slow'
  /** Features of the request, see `RequestTraits`. */
  features: number
  /**
   * What a server with a valid key and model may lack: an operation, or a client's own resource, such as a
   * file or an adapter.
   */
  mayLack: 'operation' | 'resource' | undefined
  /** Digest of operation and body; undefined if the body is not known. */
  fingerprint: string | undefined
}

/** For a request whose deadline has passed. */
export function deadlineExceeded(): RouterError {
  return new RouterError('upstream_timeout', 'The deadline of the request passed before a model answered', {
    code: 'deadline_exceeded',
    causeCode: 'DEADLINE',
    shouldRetry: false,
  })
}
