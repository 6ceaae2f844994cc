/** Each bucket bound is 1.25 times the previous one, so that the error of a quantile is at most an eighth. */
const growth = 1.25
const buckets = 61

/** A histogram of milliseconds, from 1 ms to ten minutes, in constant memory. Histograms of several processes can be merged. */
export class TimeHistogram {
  readonly #counts = new Uint32Array(buckets)

  static bucketOf(ms: number): number {
    if (ms <= 1) return 0
    return Math.min(buckets - 1, Math.ceil(Math.log(ms) / Math.log(growth)))
  }

  add(bucket: number, count: number): void {
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count
  }

  addAll(other: TimeHistogram): void {
    for (const [bucket, count] of other.#counts.entries()) this.add(bucket, count)
  }

  /** Returns the buckets with a count. */
  nonEmptyBuckets(): [bucket: number, count: number][] {
    return [...this.#counts.entries()].filter(([, count]) => count > 0)
  }

  clear(): void {
    this.#counts.fill(0)
  }

  /** Returns a quantile in milliseconds; null without values. `share`: 0 to 1. */
  quantile(share: number): number | null {
    const total = this.#counts.reduce((sum, count) => sum + count, 0)
    if (total === 0) return null
    const rank = share * total
    let before = 0
    for (const [bucket, count] of this.#counts.entries()) {
      if (count > 0 && before + count >= rank) {
        const within = (rank - before) / count
        return Math.round(growth ** (bucket - 1 + within) * 10) / 10
      }
      before += count
    }
    return null
  }
}
