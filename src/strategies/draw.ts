import type { TargetSignals } from '../core/strategy.ts'

/** Those with a weight over 0; all of them when none has one. */
export function inPlay(candidates: readonly TargetSignals[]): readonly TargetSignals[] {
  const weighty = candidates.filter(({ target }) => target.weight > 0)
  return weighty.length > 0 ? weighty : candidates
}

/** The weight among targets that are in play: where all have 0, all count alike. */
export function weightInPlay({ target }: TargetSignals): number {
  return target.weight > 0 ? target.weight : 1
}

/** One of `targets`, which are in play and not none, with a chance as its weight says. `random` is 0 up to 1. */
export function draw(targets: readonly TargetSignals[], random: number): TargetSignals {
  const total = targets.reduce((sum, signals) => sum + weightInPlay(signals), 0)
  let left = random * total
  for (const signals of targets) {
    left -= weightInPlay(signals)
    if (left < 0) return signals
  }
  const last = targets.at(-1)
  if (!last) throw new Error('a strategy was given no candidates')
  return last
}
