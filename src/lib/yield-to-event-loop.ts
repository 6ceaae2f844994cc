import { setImmediate as turn } from 'node:timers/promises'

/** So long a piece of work may hold up the event loop, in milliseconds. */
const heldMs = 4

/**
 * Lets other work have a turn of the event loop, but only once this one has taken a few milliseconds: under load a turn is
 * long, and work in many small pieces would take forever.
 */
export class EventLoopBudget {
  #since = performance.now()

  /** To be awaited; undefined where it is not time yet. */
  take(): Promise<void> | undefined {
    if (performance.now() - this.#since < heldMs) return undefined
    return this.#turn()
  }

  async #turn(): Promise<void> {
    await turn()
    this.#since = performance.now()
  }
}
