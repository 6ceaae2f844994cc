/** Number of most recent responses remembered per client and model. */
const maxSizes = 64
/** With fewer responses than this, the estimate is the largest of them, but at least `unknown`. */
const minSizes = 10
/** Estimated tokens of a response without history, capped at this share of the limit. */
const defaultTokens = 1_024
const maxShareOfLimit = 1 / 10
/** Maximum remembered pairs of client and model; the least recently used pair is evicted first. */
const maxPairs = 10_000

/** Estimates response lengths per client and model. */
export class AnswerSizes {
  readonly #sizes = new Map<string, number[]>()

  /**
   * Upper estimate of the next response in tokens: the 90th percentile of recent responses. `limit`: tokens per minute.
   */
  expected(client: string, model: string | undefined, limit: number): number {
    const guess = Math.max(1, Math.min(defaultTokens, Math.floor(limit * maxShareOfLimit)))
    const sizes = model === undefined ? undefined : this.#sizes.get(pairOf(client, model))
    if (!sizes) return guess
    const sorted = sizes.toSorted((one, other) => one - other)
    const percentile = sorted[Math.ceil(sorted.length * 0.9) - 1] ?? guess
    return Math.max(1, sizes.length < minSizes ? Math.max(guess, percentile) : percentile)
  }

  /**
   * Records a response that ended by itself. Responses cut off at the client's own length limit say nothing about
   * others.
   */
  add(client: string, model: string, tokens: number): void {
    const pair = pairOf(client, model)
    const sizes = this.#sizes.get(pair) ?? []
    sizes.push(tokens)
    if (sizes.length > maxSizes) sizes.shift()
    this.#sizes.delete(pair)
    this.#sizes.set(pair, sizes)
    const [oldest] = this.#sizes.keys()
    if (this.#sizes.size > maxPairs && oldest !== undefined) this.#sizes.delete(oldest)
  }
}

/** Client ids contain no spaces. */
function pairOf(client: string, model: string): string {
  return `${client} ${model}`
}
