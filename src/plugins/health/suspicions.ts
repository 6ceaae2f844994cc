/** The same request again says nothing new for so long, in milliseconds. */
const repeatMs = 300_000
/** So many different requests that a target failed, without an answer in between, are no coincidence. */
const neededRequests = 3
/** More requests than these in five minutes need not be told apart. */
const maxKept = 1_000

/**
 * Counts the different requests that a target failed and only a fallback model answered: one client that repeats one request,
 * which may be invalid, must not eject a target.
 */
export class Suspicions {
  readonly #now: () => number
  /** When a request was counted last, by its fingerprint. */
  readonly #countedAt = new Map<string, number>()
  /** Different requests without an answer in between, by their features. */
  readonly #inRow = new Map<number, number>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** How many failures the suspicion is worth: none, or with the third request all three at once. */
  add(features: number, fingerprint: string | undefined): number {
    if (!this.isNew(features, fingerprint)) return 0
    const inRow = (this.#inRow.get(features) ?? 0) + 1
    this.#inRow.set(features, inRow)
    if (inRow < neededRequests) return 0
    return inRow === neededRequests ? neededRequests : 1
  }

  /** Whether the request was not seen in the last five minutes; from now on it was. */
  isNew(features: number, fingerprint: string | undefined): boolean {
    if (fingerprint === undefined) return false
    const now = this.#now()
    const key = `${features} ${fingerprint}`
    const before = this.#countedAt.get(key)
    if (before !== undefined && now - before < repeatMs) return false
    this.#countedAt.delete(key)
    this.#countedAt.set(key, now)
    this.#forget(now)
    return true
  }

  answered(): void {
    this.#inRow.clear()
  }

  /** Oldest first, as they were added. */
  #forget(now: number): void {
    for (const [key, at] of this.#countedAt) {
      if (this.#countedAt.size <= maxKept && now - at < repeatMs) return
      this.#countedAt.delete(key)
    }
  }
}
