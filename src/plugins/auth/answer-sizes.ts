/** Answers of one client and model that are remembered: the latest. */
const recent = 64
/** Before so many are known, an answer is taken to be as long as the longest of them, and no shorter than `unknown`. */
const enough = 10
/** Tokens of an answer of which nothing is known, but no more than this part of the limit. */
const unknown = 1_024
const unknownShare = 1 / 10
/** The most pairs of clients and models that are remembered; the one that was quiet for longest goes first. */
const maxPairs = 10_000

/** How long answers are: of each client, by the model that it asks. */
export class AnswerSizes {
  readonly #sizes = new Map<string, number[]>()

  /** Tokens that the next answer hardly exceeds: the 90th percentile of the recent ones. `limit`: tokens a minute. */
  expected(client: string, model: string | undefined, limit: number): number {
    const guess = Math.max(1, Math.min(unknown, Math.floor(limit * unknownShare)))
    const sizes = model === undefined ? undefined : this.#sizes.get(pairOf(client, model))
    if (!sizes) return guess
    const sorted = sizes.toSorted((one, other) => one - other)
    const percentile = sorted[Math.ceil(sorted.length * 0.9) - 1] ?? guess
    return Math.max(1, sizes.length < enough ? Math.max(guess, percentile) : percentile)
  }

  /** An answer has ended by itself: one that was cut at the length that its client named tells nothing of others. */
  add(client: string, model: string, tokens: number): void {
    const pair = pairOf(client, model)
    const sizes = this.#sizes.get(pair) ?? []
    sizes.push(tokens)
    if (sizes.length > recent) sizes.shift()
    this.#sizes.delete(pair)
    this.#sizes.set(pair, sizes)
    const [oldest] = this.#sizes.keys()
    if (this.#sizes.size > maxPairs && oldest !== undefined) this.#sizes.delete(oldest)
  }
}

/** An id of a client holds no blank. */
function pairOf(client: string, model: string): string {
  return `${client} ${model}`
}
