import { setImmediate as turn } from 'node:timers/promises'

/** Maximum time that work may block the event loop, in milliseconds. */
const heldMs = 4

/**
 * Yields to the event loop, but only after a few milliseconds of work: under load a turn is
 * long, and yielding after every small step would take forever.
 */
export class EventLoopBudget {
  #since = performance.now()

  /** Await the result; undefined if it is not time to yield yet. */
  take(): Promise<void> | undefined {
    if (performance.now() - this.#since < heldMs) return undefined
    return this.#turn()
  }

  async #turn(): Promise<void> {
    await turn()
    this.#since = performance.now()
  }
}
