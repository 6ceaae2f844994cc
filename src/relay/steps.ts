import { asRouterError, type RouterError } from '../sdk/errors.ts'
import type { Target } from '../sdk/target.ts'
import type { AttemptResult } from './attempt/attempt-result.ts'

/** One attempt, once it is over. */
export interface AttemptRecord {
  /** The fallback model, if it was one. */
  target: Target
  /** Undefined: it threw, because of an invalid request or a bug. */
  result: AttemptResult | undefined
  durationMs: number
  /** Why the attempt before this one failed; undefined for the first. */
  after: RouterError | undefined
}

/** A step of a request, reported when it ends, which may be after the end of the request. */
export type Step =
  /** An attempt at the target begins; its `attempt` follows. */
  | { type: 'began'; target: Target }
  | { type: 'attempt'; attempt: AttemptRecord }
  /** Picking a target. `error`: the client's error if there was none. */
  | { type: 'search'; model: string; ms: number; found: boolean; error: RouterError | undefined }
  /** The request of an attempt is resent because a kept-alive socket had been closed. */
  | { type: 'resent'; model: string }
  /** Targets of the model failed and no other is tried; contains the most useful error. */
  | { type: 'exhausted'; model: string; error: RouterError }

/** Reports the steps of one request, and sums the time not spent in the router itself. */
export class Steps {
  readonly #now: () => number
  readonly #onStep: (step: Step) => void
  #outsideMs = 0
  #open = 0
  #openSince = 0
  #lastEnd = 0

  constructor(now: () => number, onStep: (step: Step) => void) {
    this.#now = now
    this.#onStep = onStep
  }

  /** Monotonic milliseconds. */
  now(): number {
    return this.#now()
  }

  began(target: Target): void {
    this.#onStep({ type: 'began', target })
  }

  attempted(attempt: AttemptRecord): void {
    this.#onStep({ type: 'attempt', attempt })
  }

  resent(model: string): void {
    this.#onStep({ type: 'resent', model })
  }

  exhausted(model: string, error: RouterError): void {
    this.#onStep({ type: 'exhausted', model, error })
  }

  /** Reports the search for a target. `work` resolves to a target or undefined, or rejects with the client's RouterError. */
  async search<T>(model: string, work: Promise<T>): Promise<T> {
    const since = this.#now()
    try {
      const target = await this.outside(work)
      this.searched(model, target !== undefined, this.#now() - since)
      return target
    } catch (error) {
      this.searched(model, false, this.#now() - since, asRouterError(error))
      throw error
    }
  }

  /** A search for a target ended after the given number of milliseconds. */
  searched(model: string, found: boolean, ms = 0, error?: RouterError): void {
    this.#onStep({ type: 'search', model, ms, found, error })
  }

  /** Time while `work` runs is not the router's own; concurrent work counts once. */
  async outside<T>(work: Promise<T>): Promise<T> {
    this.leave()
    try {
      return await work
    } finally {
      this.comeBack()
    }
  }

  /** The same in two steps: from here on the request waits for something outside the router. */
  leave(): void {
    if (this.#open++ === 0) this.#openSince = this.#now()
  }

  /** Call once for each `leave`. */
  comeBack(): void {
    this.#lastEnd = this.#now()
    if (--this.#open === 0) this.#outsideMs += this.#lastEnd - this.#openSince
  }

  /**
   * Time spent in the router itself, from when it had the request to when the response was ready.
   * A streamed response is ready with the last of its attempts.
   */
  ownMs(from: number, to: number | undefined): number {
    const now = this.#now()
    const running = this.#open > 0 ? now - this.#openSince : 0
    const end = Math.max(to ?? 0, running > 0 ? now : this.#lastEnd)
    return Math.max(0, end - from - this.#outsideMs - running)
  }
}
