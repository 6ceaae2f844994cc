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
  /** An attempt at the target begins; its `attempt-ended` follows. */
  | { type: 'attempt-began'; target: Target }
  | { type: 'attempt-ended'; attempt: AttemptRecord }
  /** Picking a target. `error`: the client's error if there was none. */
  | { type: 'pick'; model: string; ms: number; found: boolean; error: RouterError | undefined }
  /** The request of an attempt is resent because a kept-alive socket had been closed. */
  | { type: 'resent'; model: string }
  /** Targets of the model failed and no other is tried; contains the most useful error. */
  | { type: 'exhausted'; model: string; error: RouterError }

/** Reports the steps of one request, and measures the time spent in the router itself. */
export class Steps {
  readonly #now: () => number
  readonly #onStep: (step: Step) => void
  #externalMs = 0
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

  attemptBegan(target: Target): void {
    this.#onStep({ type: 'attempt-began', target })
  }

  attemptEnded(attempt: AttemptRecord): void {
    this.#onStep({ type: 'attempt-ended', attempt })
  }

  resent(model: string): void {
    this.#onStep({ type: 'resent', model })
  }

  exhausted(model: string, error: RouterError): void {
    this.#onStep({ type: 'exhausted', model, error })
  }

  /** Reports how long picking a target takes. `work` resolves to a target or undefined, or rejects with the client's RouterError. */
  async pick<T>(model: string, work: Promise<T>): Promise<T> {
    const since = this.#now()
    try {
      const target = await this.awaitExternal(work)
      this.pickEnded(model, target !== undefined, this.#now() - since)
      return target
    } catch (error) {
      this.pickEnded(model, false, this.#now() - since, asRouterError(error))
      throw error
    }
  }

  /** A target was picked, or none was found, after `ms` milliseconds. */
  pickEnded(model: string, found: boolean, ms = 0, error?: RouterError): void {
    this.#onStep({ type: 'pick', model, ms, found, error })
  }

  /** Awaits work outside the router, such as a response or a free slot. Concurrent work counts once. */
  async awaitExternal<T>(work: Promise<T>): Promise<T> {
    this.beginExternal()
    try {
      return await work
    } finally {
      this.endExternal()
    }
  }

  /** From here on the request waits for something outside the router. */
  beginExternal(): void {
    if (this.#open++ === 0) this.#openSince = this.#now()
  }

  /** Call once for each `leave`. */
  endExternal(): void {
    this.#lastEnd = this.#now()
    if (--this.#open === 0) this.#externalMs += this.#lastEnd - this.#openSince
  }

  /**
   * Time spent in the router itself, from when it had the request to when the response was ready.
   * A streamed response is ready with the last of its attempts.
   */
  ownMs(from: number, to: number | undefined): number {
    const now = this.#now()
    const running = this.#open > 0 ? now - this.#openSince : 0
    const end = Math.max(to ?? 0, running > 0 ? now : this.#lastEnd)
    return Math.max(0, end - from - this.#externalMs - running)
  }
}
