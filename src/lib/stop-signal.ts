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
  /** Most have one listener at a time; the others are kept in a list. */
  #first: (() => void) | undefined
  #more: (() => void)[] | undefined

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.aborted) return
    if (this.#first === undefined && this.#more === undefined) this.#first = listener
    else {
      this.#more ??= []
      this.#more.push(listener)
    }
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    if (this.#first === listener) {
      this.#first = undefined
      return
    }
    const index = this.#more?.indexOf(listener) ?? -1
    if (index >= 0) this.#more?.splice(index, 1)
  }

  /** Only the first reason counts. */
  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    const first = this.#first
    const more = this.#more ?? []
    this.#first = undefined
    this.#more = undefined
    first?.()
    for (const listener of more) listener()
  }
}
