import type { KeptAnswer } from '../../processors/cache/kept-answer.ts'
import { asRouterError, RouterError } from '../../sdk/errors.ts'

/**
 * One answer that several requests wait for: that of the first of them. It is asked for as long as one of them waits. Aborted by
 * the first one's own end, as by its deadline, but for its client's leaving.
 */
export class Flight {
  readonly #abort = new AbortController()
  readonly #answer = Promise.withResolvers<KeptAnswer | undefined>()
  readonly #onFree: (() => void)[] = []
  #waiting = 0
  #leaderGone = false
  #isSettled = false

  /** `leader`: the signal of the first request. */
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

  /** Ends the attempts. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Whether anybody but the first one waits: then its reading sets no pace. */
  get hasFollowers(): boolean {
    return !this.#isSettled && this.#waiting > (this.#leaderGone ? 0 : 1)
  }

  /** The answer, once it is complete; undefined: there is none to give again. Rejects with the reason of the signal. */
  async follow(signal: AbortSignal): Promise<KeptAnswer | undefined> {
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

  /** Calls back once when the pace of the first one's client no longer counts. */
  onFree(listener: () => void): void {
    if (this.hasFollowers) listener()
    else this.#onFree.push(listener)
  }

  /** The answer is complete, or will be none to give again: then only the first one still waits for it. Counts once. */
  settle(answer: KeptAnswer | undefined): void {
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
