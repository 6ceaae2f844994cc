/** Consecutive failures after which requests no longer wait for the embedding model. */
const failuresToSkip = 3

/** While the embedding model fails or hangs, one request at a time tries it, and the others do without. */
export class Trials {
  #failures = 0
  #isTrying = false

  /** Undefined if the embedding model is not tried. */
  async run<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    const isTrial = this.#failures >= failuresToSkip
    if (isTrial && this.#isTrying) return undefined
    if (isTrial) this.#isTrying = true
    try {
      const result = await work()
      this.#failures = 0
      return result
    } finally {
      if (isTrial) this.#isTrying = false
    }
  }

  /** Counts a failure of the embedding model. Not to be called if its request was aborted. */
  failed(): void {
    this.#failures++
  }
}
