import type { TargetSignals } from '../sdk/strategy.ts'

/** The weight among targets that are in play: where all have 0, all count alike. */
export function weightInPlay({ target }: TargetSignals): number {
  return target.weight > 0 ? target.weight : 1
}

/** The first of `count` sums, which rise, that is above `at`; the last where none is. */
export function drawnPlace(sums: readonly number[], count: number, at: number): number {
  let low = 0
  let high = count - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sums[middle] ?? 0) > at) high = middle
    else low = middle + 1
  }
  return low
}

/**
 * Draws targets with a chance as their weights say; those without a weight are out, unless none has one. Weights do not
 * change for a list of candidates, so what is known of it is kept for the next draw.
 */
export class Draw {
  #candidates: readonly TargetSignals[] | undefined
  #inPlay: readonly TargetSignals[] = []
  /** Of the weights, up to and with each. */
  #sums: readonly number[] = []

  /** Those that can be drawn. */
  among(candidates: readonly TargetSignals[]): readonly TargetSignals[] {
    if (candidates === this.#candidates) return this.#inPlay
    const weighty = candidates.filter(({ target }) => target.weight > 0)
    let sum = 0
    this.#candidates = candidates
    this.#inPlay = weighty.length > 0 ? weighty : candidates
    this.#sums = this.#inPlay.map((signals) => {
      sum += weightInPlay(signals)
      return sum
    })
    return this.#inPlay
  }

  /** `random` is 0 up to 1. */
  one(candidates: readonly TargetSignals[], random: number): TargetSignals {
    const inPlay = this.among(candidates)
    return this.#at(inPlay, random * (this.#sums.at(-1) ?? 0))
  }

  /** One of the others; undefined when there is none. */
  other(
    candidates: readonly TargetSignals[],
    than: TargetSignals,
    random: number,
  ): TargetSignals | undefined {
    const inPlay = this.among(candidates)
    if (inPlay.length < 2) return undefined
    const left = inPlay.indexOf(than)
    const weight = weightInPlay(than)
    const before = (this.#sums[left] ?? 0) - weight
    const at = random * ((this.#sums.at(-1) ?? 0) - weight)
    const drawn = this.#at(inPlay, at < before ? at : at + weight)
    // Sums of fractions are not exact at their borders.
    return drawn === than ? inPlay[left === 0 ? 1 : left - 1] : drawn
  }

  #at(inPlay: readonly TargetSignals[], at: number): TargetSignals {
    const drawn = inPlay[drawnPlace(this.#sums, inPlay.length, at)]
    if (!drawn) throw new Error('a strategy was given no candidates')
    return drawn
  }
}
