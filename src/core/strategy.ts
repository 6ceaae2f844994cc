import type { Target } from './target.ts'

/** What is known of a target at this moment. Kept by the balancer; strategies and the status page read it. */
export interface TargetSignals {
  readonly target: Target
  /** Requests this target was picked for since the start. */
  readonly uses: number
  /** Picked and not settled yet. */
  readonly inFlight: number
}

export interface StrategyContext {
  /** Monotonic milliseconds. */
  now(): number
  /** 0 (included) to 1 (excluded). */
  random(): number
}

/** How a lease ended, for strategies that learn from it. */
export interface Outcome {
  result: 'success' | 'failure' | 'cancelled'
  /** Milliseconds from the pick to the end. */
  durationMs: number
  /** Milliseconds from the pick to the first content; undefined when there was none. */
  firstContentMs: number | undefined
}

/**
 * Picks a target. One instance serves one model, so state kept in it is that model's own.
 * `pick` is synchronous: nothing may happen between the choice and its reservation.
 */
export interface StrategyInstance {
  /** One of `candidates`, which is never empty and keeps the order of the configuration. */
  pick(candidates: readonly TargetSignals[]): TargetSignals
  /** Called once for every pick, when its lease is settled. */
  settled?(target: Target, outcome: Outcome): void
}

export interface Strategy {
  readonly name: string
  create(context: StrategyContext): StrategyInstance
}
