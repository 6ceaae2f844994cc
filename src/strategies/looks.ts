/** So many targets are looked at for every pick. */
const few = 100
/** Of more, all are looked at once in picks of this part of them, */
const leastShare = 0.01
/** unless the last look is younger than this; but then in picks of this part. */
const freshMs = 20
const mostShare = 0.1

/** Says when all targets are to be looked at again: of hundreds hardly anything has changed with the next pick. */
export class Looks {
  #picks = Number.POSITIVE_INFINITY
  #at = Number.NEGATIVE_INFINITY

  /** To be asked once for each pick. `now`: monotonic milliseconds. */
  isDue(targets: number, now: number): boolean {
    if (targets > few) {
      const picks = ++this.#picks
      if (picks <= targets * leastShare) return false
      if (now - this.#at < freshMs && picks <= targets * mostShare) return false
    }
    this.#picks = 0
    this.#at = now
    return true
  }

  /** The next pick is to look. */
  demand(): void {
    this.#picks = Number.POSITIVE_INFINITY
  }
}
