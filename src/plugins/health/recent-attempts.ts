/** A busy target's last hundred attempts say enough. */
const kept = 100

/** When the last attempts at a target ended, and whether they failed. */
export class RecentAttempts {
  readonly #at = new Float64Array(kept)
  readonly #failed = new Uint8Array(kept)
  #added = 0

  /** `at`: monotonic milliseconds, never less than before. */
  add(at: number, failed: boolean): void {
    const place = this.#added++ % kept
    this.#at[place] = at
    this.#failed[place] = failed ? 1 : 0
  }

  /** Those that ended at this moment or later. */
  since(at: number): { attempts: number; failures: number } {
    let attempts = 0
    let failures = 0
    for (let place = 0; place < Math.min(kept, this.#added); place++) {
      if ((this.#at[place] ?? 0) < at) continue
      attempts++
      failures += this.#failed[place] ?? 0
    }
    return { attempts, failures }
  }

  clear(): void {
    this.#added = 0
  }
}
