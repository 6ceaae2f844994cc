import { setImmediate as nextIteration } from 'node:timers/promises'

/** Maximum time that work may block the event loop, in milliseconds. */
const heldMs = 4

/**
 * Yields to the event loop, but only after a few milliseconds of work: under load an iteration takes long, so yielding after
 * every small step would be slow.
 */
export class EventLoopBudget {
  readonly #signal: AbortSignal | undefined
  #since = performance.now()

  /** `signal` ends the work: the promise is then rejected with its reason. */
  constructor(signal?: AbortSignal) {
    this.#signal = signal
  }

  /** Returns a promise to await, or undefined if it is not time to yield yet. */
  take(): Promise<void> | undefined {
    if (performance.now() - this.#since < heldMs) return undefined
    return this.#yield()
  }

  async #yield(): Promise<void> {
    await nextIteration()
    this.#signal?.throwIfAborted()
    this.#since = performance.now()
  }
}
