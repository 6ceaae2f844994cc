/**
 * One timer that bounds an attempt: a deadline until `touch` is first called, the longest silence afterwards. Touching
 * only stores a time, so it costs nothing per chunk; the timer finds out when it fires. Before it calls the upstream
 * silent it lets the event loop read what has already arrived: a process that was held up itself must not blame others.
 */
export class Watchdog {
  readonly #limitMs: number
  readonly #onExpire: () => void
  #timer: NodeJS.Timeout | undefined
  #lastLook: NodeJS.Immediate | undefined
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

  /** While the client is slow, silence is not the upstream's error. */
  pause(): void {
    this.stop()
  }

  resume(): void {
    this.touch()
    if (this.#timer === undefined && this.#lastLook === undefined) this.#arm(this.#limitMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#lastLook)
    this.#timer = undefined
    this.#lastLook = undefined
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#rearmed()) return
      // Two rounds: the sockets are read between them.
      this.#lastLook = setImmediate(() => {
        this.#lastLook = setImmediate(() => {
          this.#lastLook = undefined
          if (!this.#rearmed()) this.#onExpire()
        })
      })
    }, ms)
  }

  #rearmed(): boolean {
    const left = this.#since + this.#limitMs - performance.now()
    if (left > 1) this.#arm(left)
    return left > 1
  }
}
