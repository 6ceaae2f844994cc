/** So many of the latest answers are known of a model. */
const kept = 64
/** Below this many milliseconds a token, no engine reads a long prompt: 2,000 tokens a second. */
const leastTokenMs = 0.5
/** Stands for the template around a prompt and what an answer costs before its first token. */
const overheadTokens = 256

interface Sample {
  /** Monotonic milliseconds. */
  at: number
  ms: number
  tokens: number
}

/** How long a model's answers took to their first content lately. Whole answers, which show none, are kept apart. */
export class FirstContents {
  readonly #samples: Sample[] = []
  #next = 0

  add(sample: Sample): void {
    this.#samples[this.#next] = sample
    this.#next = (this.#next + 1) % kept
  }

  /** In milliseconds, of those at this moment or later; undefined where there are none. */
  median(since = Number.NEGATIVE_INFINITY): number | undefined {
    return quantile(
      this.#samples.filter(({ at }) => at >= since).map(({ ms }) => ms),
      0.5,
    )
  }

  /** In milliseconds; undefined before the first. */
  longest(): number | undefined {
    return quantile(
      this.#samples.map(({ ms }) => ms),
      1,
    )
  }

  /**
   * How long an engine may read a prompt of so many tokens, in milliseconds: by the slow ones among the answers to prompts
   * about as long, or else to the longest ones known. Rather too much: a prefix in the engine's cache takes no time.
   */
  prefillMs(tokens: number): number {
    const longest = Math.max(0, ...this.#samples.map((sample) => sample.tokens))
    const least = Math.min(tokens, longest) / 2
    const alike = this.#samples.filter((sample) => sample.tokens >= least)
    const perToken = quantile(
      alike.map((sample) => sample.ms / (sample.tokens + overheadTokens)),
      0.9,
    )
    return tokens * Math.max(leastTokenMs, perToken ?? 0)
  }
}

function quantile(values: number[], share: number): number | undefined {
  const sorted = values.sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}
