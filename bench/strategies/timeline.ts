interface Event {
  at: number
  /** Events with the same time run in the order they were added. */
  order: number
  run: () => void
}

/** A virtual clock in ms: due events run immediately, one after the other, and time jumps from one to the next. */
export class Timeline {
  /** A binary heap by time and order. */
  readonly #events: Event[] = []
  #added = 0
  #now = 0

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): void {
    const event = { at: this.#now + ms, order: this.#added++, run }
    let index = this.#events.push(event) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#swapIfLater(parent, index)) break
      index = parent
    }
  }

  /** Runs until nothing is due any more. */
  run(): void {
    for (let next = this.#take(); next; next = this.#take()) {
      this.#now = next.at
      next.run()
    }
  }

  #take(): Event | undefined {
    const first = this.#events[0]
    const last = this.#events.pop()
    if (!first || !last || first === last) return first
    this.#events[0] = last
    for (let index = 0; ; ) {
      const [left, right] = [2 * index + 1, 2 * index + 2]
      const sooner = this.#isLater(left, right) ? right : left
      if (!this.#swapIfLater(index, sooner)) break
      index = sooner
    }
    return first
  }

  #isLater(a: number, b: number): boolean {
    const [one, other] = [this.#events[a], this.#events[b]]
    if (!one || !other) return false
    return one.at > other.at || (one.at === other.at && one.order > other.order)
  }

  #swapIfLater(a: number, b: number): boolean {
    const [one, other] = [this.#events[a], this.#events[b]]
    if (!one || !other || !this.#isLater(a, b)) return false
    this.#events[a] = other
    this.#events[b] = one
    return true
  }
}
