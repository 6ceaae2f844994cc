/** Number of most recent responses remembered per model. */
const maxSamples = 64
/**
 * Lower bound of prefill time per token in milliseconds: no engine is assumed to prefill more than 2,000 tokens per
 * second.
 */
const minTokenMs = 0.5
/** Accounts for the chat template and the fixed cost before the first token. */
const overheadTokens = 256

interface Sample {
  /** Monotonic milliseconds. */
  at: number
  ms: number
  tokens: number
}

/**
 * Recent times to first content of one model. Non-streaming responses, which show no first content, are recorded
 * separately.
 */
export class FirstContents {
  readonly #samples: Sample[] = []
  #next = 0

  add(sample: Sample): void {
    this.#samples[this.#next] = sample
    this.#next = (this.#next + 1) % maxSamples
  }

  /** Median in milliseconds of the samples at or after `since`; undefined without samples. */
  median(since = Number.NEGATIVE_INFINITY): number | undefined {
    return quantile(
      this.#samples.filter(({ at }) => at >= since).map(({ ms }) => ms),
      0.5,
    )
  }

  /** Maximum in milliseconds; undefined without samples. */
  longest(): number | undefined {
    return quantile(
      this.#samples.map(({ ms }) => ms),
      1,
    )
  }

  /**
   * Upper estimate of the time in milliseconds that an engine needs to prefill a prompt: the 90th percentile per token
   * over prompts of similar length, or else over the longest known ones. It errs on the high side, because a cached
   * prefix takes no time.
   */
  prefillMs(tokens: number): number {
    const longest = Math.max(0, ...this.#samples.map((sample) => sample.tokens))
    const least = Math.min(tokens, longest) / 2
    const alike = this.#samples.filter((sample) => sample.tokens >= least)
    const perToken = quantile(
      alike.map((sample) => sample.ms / (sample.tokens + overheadTokens)),
      0.9,
    )
    return tokens * Math.max(minTokenMs, perToken ?? 0)
  }
}

function quantile(values: number[], share: number): number | undefined {
  const sorted = values.sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}
