/** A request sent to the target that its prompt hashes to. */
export interface HashedRequest {
  /** Tokens of its prompt that a target is known to have cached, and those that no target is known to have. */
  readonly known: number
  readonly unknown: number
}

/** Initial share, and the number of observed tokens that it counts as. */
const initialShare = 0.2
const initialTokens = 20_000
/** Factor by which each new request reduces the weight of earlier ones. */
const decay = 0.995
/**
 * The share is set above the measured value, because it reinforces itself: other routers find the prefixes that this router
 * sent to the hash target, and send more of them there.
 */
const gain = 3
const maxShare = 0.7

/**
 * Estimates which share of the tokens not known to be cached anywhere the target of the prompt's hash has cached, because other
 * routers send the same prompts there. Learned from the cached tokens that engines report: with a single router it approaches
 * 0, so that load decides.
 */
export class HashTrust {
  #found = (initialShare / gain) * initialTokens
  #unknown = initialTokens

  get share(): number {
    return Math.min(maxShare, (gain * this.#found) / this.#unknown)
  }

  /** `cachedTokens`: prompt tokens from the cache, as reported by the engine. */
  learn({ known, unknown }: HashedRequest, cachedTokens: number): void {
    this.#found = decay * this.#found + Math.min(unknown, Math.max(0, cachedTokens - known))
    this.#unknown = decay * this.#unknown + unknown
  }
}
