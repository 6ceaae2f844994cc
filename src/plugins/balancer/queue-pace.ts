import { movingAverage } from '../../lib/numbers.ts'

/** Measures how fast a queue moves: the time from one served request to the next while others wait. */
export class QueuePace {
  readonly #now: () => number
  #intervalMs: number | undefined
  /** When the last request was served, or the first began to wait. */
  #since = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** The first request begins to wait. */
  began(): void {
    this.#since = this.#now()
  }

  served(): void {
    this.#intervalMs = movingAverage(this.#intervalMs, this.#now() - this.#since)
    this.#since = this.#now()
  }

  /** Predicted wait of a request behind `waiting` others, in whole seconds from 1 to 300. */
  retryAfterSeconds(waiting: number): number {
    // A longer gap than usual since the last served request is a measurement too.
    const intervalMs = Math.max(this.#intervalMs ?? 0, waiting === 0 ? 0 : this.#now() - this.#since)
    return Math.min(300, Math.max(1, Math.ceil(((waiting + 1) * intervalMs) / 1000)))
  }
}
