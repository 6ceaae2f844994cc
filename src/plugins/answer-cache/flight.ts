import type { CachedAnswer } from '../../processors/cache/cached-answer.ts'
import { asRouterError, RouterError } from '../../sdk/errors.ts'

/**
 * Single flight: one attempt that a leader and its followers wait for. It runs as long as at least one of them waits: it survives a
 * leader whose client disconnects, but not one whose deadline expires.
 */
export class Flight {
  readonly #abort = new AbortController()
  readonly #answer = Promise.withResolvers<CachedAnswer | undefined>()
  readonly #onFree: (() => void)[] = []
  #waiting = 0
  #leaderGone = false
  #isSettled = false

  /** `leader`: signal of the leading request. */
  constructor(leader: AbortSignal) {
    this.#waiting++
    this.#onAbort(leader, () => {
      const reason = asRouterError(leader.reason)
      if (reason.kind !== 'client_gone') return this.#abort.abort(reason)
      this.#leaderGone = true
      this.#leave(reason)
      this.#free()
    })
  }

  /** Cancels the attempts. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Whether followers wait; then a slow leader must not apply backpressure to the upstream. */
  get hasFollowers(): boolean {
    return !this.#isSettled && this.#waiting > (this.#leaderGone ? 0 : 1)
  }

  /** Resolves with the complete response, or undefined if there is none to share. Rejects with the reason of the signal. */
  async follow(signal: AbortSignal): Promise<CachedAnswer | undefined> {
    if (this.#isSettled) return this.#answer.promise
    const aborted = Promise.withResolvers<never>()
    this.#waiting++
    this.#free()
    const stop = this.#onAbort(signal, () => {
      this.#leave(signal.reason)
      aborted.reject(asRouterError(signal.reason))
    })
    try {
      return await Promise.race([this.#answer.promise, aborted.promise])
    } finally {
      stop()
    }
  }

  /** Calls back once, when the leader's backpressure no longer applies. */
  onFree(listener: () => void): void {
    if (this.hasFollowers) listener()
    else this.#onFree.push(listener)
  }

  /** Ends the flight with a complete response, or with undefined if it will not be shared; then only the leader keeps waiting. Only the first call has an effect. */
  settle(answer: CachedAnswer | undefined): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#answer.resolve(answer)
    if (answer) return
    this.#waiting = 1
    if (this.#leaderGone) this.#leave(new RouterError('client_gone', 'The client closed the connection'))
  }

  #free(): void {
    for (const listener of this.#onFree.splice(0)) listener()
  }

  #leave(reason: unknown): void {
    if (--this.#waiting === 0) this.#abort.abort(reason)
  }

  #onAbort(signal: AbortSignal, listener: () => void): () => void {
    if (signal.aborted) listener()
    else signal.addEventListener('abort', listener, { once: true })
    return () => signal.removeEventListener('abort', listener)
  }
}
