/**
 * What waits need of an AbortSignal, which is one of these. Every request has one, and the platform's own costs more than all
 * else that a request allocates.
 */
export interface StopSignal {
  readonly aborted: boolean
  /** Why; undefined until then. */
  readonly reason: unknown
  /** Calls back once, unless it is aborted already. */
  addEventListener(type: 'abort', listener: () => void, options: { once: true }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** A signal together with the way to give it. */
export class StopSource implements StopSignal {
  aborted = false
  reason: unknown
  #listeners: (() => void)[] = []

  addEventListener(_type: 'abort', listener: () => void): void {
    if (!this.aborted) this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    const index = this.#listeners.indexOf(listener)
    if (index >= 0) this.#listeners.splice(index, 1)
  }

  /** Only the first reason counts. */
  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) listener()
  }
}
