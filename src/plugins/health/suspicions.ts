/** A repeated request is ignored for this long, in milliseconds. */
const repeatMs = 300_000
/** Distinct failed requests without a success in between that are no longer considered coincidence. */
const neededRequests = 3
/** Maximum number of remembered requests. */
const maxKept = 1_000

/**
 * Counts distinct requests that failed at a target and that only a fallback model could answer. A client that repeats
 * one request, which may be invalid, must not eject a target.
 */
export class Suspicions {
  readonly #now: () => number
  /** When a request was last counted, by fingerprint. */
  readonly #countedAt = new Map<string, number>()
  /** Distinct requests without a success in between, by their features. */
  readonly #inRow = new Map<number, number>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Number of failures to count: none at first, all three with the third request, then one each. */
  add(features: number, fingerprint: string | undefined): number {
    if (!this.isNew(features, fingerprint)) return 0
    const inRow = (this.#inRow.get(features) ?? 0) + 1
    this.#inRow.set(features, inRow)
    if (inRow < neededRequests) return 0
    return inRow === neededRequests ? neededRequests : 1
  }

  /** Records the request. Returns whether it was not seen within the last five minutes. */
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

  reset(): void {
    this.#inRow.clear()
  }

  /** A Map iterates in insertion order, so the oldest entries come first. */
  #forget(now: number): void {
    for (const [key, at] of this.#countedAt) {
      if (this.#countedAt.size <= maxKept && now - at < repeatMs) return
      this.#countedAt.delete(key)
    }
  }
}
