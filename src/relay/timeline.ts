import type { RouterError } from '../sdk/errors.ts'
import type { Target } from '../sdk/target.ts'
import { outcomeOf } from './attempt/attempt-result.ts'
import type { AttemptRecord, Step } from './steps.ts'

/** One attempt of a request. Times are monotonic milliseconds. */
export interface TimedAttempt {
  readonly target: Target
  readonly startedAt: number
  /** How long the request waited for the target. */
  readonly queueMs: number
  /** Undefined: it has not ended yet. */
  end: { at: number; outcome: AttemptOutcome; error: RouterError | undefined } | undefined
  /** From its start to the first content of a stream. */
  firstContentMs: number | undefined
}

export type AttemptOutcome = ReturnType<typeof outcomeOf>

/** Start and end of each attempt of a request. */
export class Timeline {
  #attempts: TimedAttempt[] | undefined
  #waitedMs = 0
  /** Sum of all waits for targets, including a last one without success. */
  queueMs = 0

  get attempts(): readonly TimedAttempt[] {
    return this.#attempts ?? []
  }

  /** `now`: monotonic milliseconds. */
  record(step: Step, now: () => number): void {
    switch (step.type) {
      case 'pick':
        this.#waitedMs += step.ms
        this.queueMs += step.ms
        return
      case 'attempt-began':
        this.#attempts ??= []
        this.#attempts.push({
          target: step.target,
          startedAt: now(),
          queueMs: this.#waitedMs,
          end: undefined,
          firstContentMs: undefined,
        })
        this.#waitedMs = 0
        return
      case 'attempt-ended':
        this.#ended(step.attempt, now())
    }
  }

  #ended({ target, result }: AttemptRecord, at: number): void {
    const timed = this.#attempts?.findLast((each) => each.target === target && each.end === undefined)
    if (!timed) return
    timed.end = {
      at,
      outcome: outcomeOf(result),
      error: result?.type === 'failure' ? result.error : undefined,
    }
    if (result?.type === 'success' && result.streamed) timed.firstContentMs = result.firstContentMs
  }
}
