import type { RouterError } from './errors.ts'
import type { Outcome } from './strategy.ts'
import type { Target } from './target.ts'

/**
 * What the end of an attempt says about its target. `failure`: it failed. `connect`: it could not be reached. `slow`: its
 * first content did not come in time. `busy`: it asked to be left alone for a while (429, Retry-After). `misconfigured`:
 * it refuses our key or does not know our model. `nothing`: it says nothing (the client left, or its request was bad).
 */
export type Verdict = 'success' | 'failure' | 'connect' | 'slow' | 'busy' | 'misconfigured' | 'nothing'

/** How an attempt at a target went. */
export interface Ending {
  result: Outcome['result']
  verdict: Verdict
  /** How long a busy target asked to be left alone, in milliseconds, where it said so. */
  pauseMs?: number | undefined
  /** Why it failed. */
  error?: RouterError | undefined
  /** Milliseconds from the dispatch to the first content of the answer. */
  firstContentMs?: number | undefined
  /** Tokens of the answer, where they were counted. */
  tokens?: number | undefined
}

/** A picked and reserved target. */
export interface Lease {
  readonly target: Target
  /** Aborted when another process has taken the target over. Absent: nobody can. */
  readonly lost?: AbortSignal | undefined
  /** Gives the target back. The first call counts, later ones do nothing. */
  settle(ending: Ending): void
}
