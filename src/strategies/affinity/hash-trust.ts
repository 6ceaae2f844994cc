/** A request sent to the target of its prompt's hash. */
export interface Trusted {
  /** Tokens of its prompt that a target is known to have, and those that are known nowhere. */
  readonly known: number
  readonly unknown: number
}

/** Before anything was learned: the part, and how many tokens this is worth. */
const initialShare = 0.2
const initialTokens = 20_000
/** Weight of earlier requests relative to each new one. */
const older = 0.995
/**
 * Above the measured value: prefixes that this router sends to the hash target are found there by others, which then send more.
 */
const gain = 3
const mostShare = 0.7

/**
 * Part of the tokens known nowhere that the target of their hash is expected to have: other routers send prompts there as well.
 * It is learned from reports of engines, so that a single router balances by load.
 */
export class HashTrust {
  #found = (initialShare / gain) * initialTokens
  #unknown = initialTokens

  get share(): number {
    return Math.min(mostShare, (gain * this.#found) / this.#unknown)
  }

  /** `cachedTokens`: as the engine reported. */
  learn({ known, unknown }: Trusted, cachedTokens: number): void {
    this.#found = older * this.#found + Math.min(unknown, Math.max(0, cachedTokens - known))
    this.#unknown = older * this.#unknown + unknown
  }
}
