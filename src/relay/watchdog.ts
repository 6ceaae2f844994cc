/**
 * One timer that bounds an attempt: a deadline until `touch` is first called, the longest silence afterwards. Touching
 * only stores a time, so it costs nothing per chunk; the timer finds out when it fires.
 */
export class Watchdog {
  readonly #limitMs: number
  readonly #onExpire: () => void
  #timer: NodeJS.Timeout | undefined
  #since: number

  constructor(limitMs: number, onExpire: () => void) {
    this.#limitMs = limitMs
    this.#onExpire = onExpire
    this.#since = performance.now()
    this.#arm(limitMs)
  }

  touch(): void {
    this.#since = performance.now()
  }

  /** While the client is slow, silence is not the upstream's fault. */
  pause(): void {
    this.stop()
  }

  resume(): void {
    this.touch()
    if (this.#timer === undefined) this.#arm(this.#limitMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      const left = this.#since + this.#limitMs - performance.now()
      if (left > 1) {
        this.#arm(left)
        return
      }
      this.#timer = undefined
      this.#onExpire()
    }, ms)
  }
}
