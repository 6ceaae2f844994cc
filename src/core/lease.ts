import type { Outcome } from './strategy.ts'
import type { Target } from './target.ts'

/** A picked and reserved target. */
export interface Lease {
  readonly target: Target
  /** Gives the target back. The first call counts, later ones do nothing. */
  settle(result: Outcome['result'], firstContentMs?: number): void
}
