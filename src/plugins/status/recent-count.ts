/** Counts the events of the last 60 seconds in constant memory, with a resolution of one second. */
export class RecentCount {
  readonly #now: () => number
  readonly #seconds = new Array<number>(60).fill(0)
  #last: number

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
    this.#last = this.#second()
  }

  add(): void {
    this.#forget()
    const slot = this.#last % 60
    this.#seconds[slot] = (this.#seconds[slot] ?? 0) + 1
  }

  get total(): number {
    this.#forget()
    return this.#seconds.reduce((sum, each) => sum + each, 0)
  }

  #forget(): void {
    const second = this.#second()
    for (let past = Math.max(this.#last + 1, second - 59); past <= second; past++)
      this.#seconds[past % 60] = 0
    this.#last = second
  }

  #second(): number {
    return Math.floor(this.#now() / 1000)
  }
}
