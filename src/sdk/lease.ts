import type { RouterError } from './errors.ts'
import type { Outcome } from './strategy.ts'
import type { Target } from './target.ts'

/**
 * What the end of an attempt says about its target. `success`: it answered. `connect`: it could not be reached, which is
 * its own failure whatever was asked. `undecided`: it failed in a way that the request may have caused; `Lease.judge` tells
 * once the request is over. `cooldown`: it asked for a pause (429). `nothing`: the client left, or its request was invalid.
 */
export type Verdict = 'success' | 'connect' | 'undecided' | 'cooldown' | 'nothing'

/** How an attempt at a target went. */
export interface Ending {
  result: Outcome['result']
  verdict: Verdict
  /** Length of the pause that a target asked for with `cooldown`, in milliseconds. */
  pauseMs?: number | undefined
  /** Why it failed. */
  error?: RouterError | undefined
  /** Milliseconds from the dispatch to the first content of the answer. */
  firstContentMs?: number | undefined
  /** Tokens of the answer, where they were counted. */
  tokens?: number | undefined
}

/** What is known of an `undecided` failure once its request is over. */
export interface Judgement {
  /**
   * Who answered in the end. `target`: another target of the same model, so this one is to blame. `nobody`: none of them, so
   * the request itself may be the cause. `fallback`, after `nobody`: another model did. `unknown`: the request ended before
   * that showed.
   */
  answeredBy: 'target' | 'fallback' | 'nobody' | 'unknown'
  kind: 'failure' | 'slow'
  /** 401, 402, 403 or 404, where the target answered so. */
  refusal?: number | undefined
  /** Features of the request, see `RequestTraits`. */
  features: number
  /**
   * What the request names that a server with a valid key and model may lack: an operation, or a thing of a client's own, as a
   * file or an adapter.
   */
  names: 'operation' | 'thing' | undefined
  /** Tells requests apart; undefined where that is not known. */
  fingerprint: string | undefined
}

/** A picked and reserved target. */
export interface Lease {
  readonly target: Target
  /** Aborted when another process has taken the target over. Absent: nobody can. */
  readonly revoked?: AbortSignal | undefined
  /** Whether the target has answered anybody since it was configured, so that its key and model are valid. */
  readonly hasAnswered: boolean
  /** The first content of a stream has come. */
  answering(): void
  /** Gives the target back. The first call counts, later ones do nothing. */
  settle(ending: Ending): void
  /** To be called after an `undecided` ending, when the request is over. */
  judge(judgement: Judgement): void
}
