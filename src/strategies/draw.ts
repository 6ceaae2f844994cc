import type { TargetSignals } from '../sdk/strategy.ts'

/** The weight set at runtime, otherwise the configured one. */
export function weightOf({ target, weight = target.weight }: TargetSignals): number {
  return weight
}

/** The weight of a target in play ({@link withWeight}): a target with 0 is only in play if all have 0, and then all are equal. */
export function effectiveWeight(signals: TargetSignals): number {
  const weight = weightOf(signals)
  return weight > 0 ? weight : 1
}

/** Requests at the target: those of this process, plus those of others as of the last poll of its engine. */
export function loadOf({ inFlight, engine }: TargetSignals): number {
  return inFlight + (engine?.others ?? 0)
}

/**
 * Returns the candidates with a positive weight, or all if there are none. Returns the same list if it would contain all of
 * them.
 */
export function withWeight(candidates: readonly TargetSignals[]): readonly TargetSignals[] {
  if (candidates.every(hasWeight)) return candidates
  const weighted = candidates.filter(hasWeight)
  return weighted.length > 0 ? weighted : candidates
}

function hasWeight(signals: TargetSignals): boolean {
  return weightOf(signals) > 0
}

/**
 * Draws one of the targets with probability proportional to weight. `random`: 0 (inclusive) to 1 (exclusive). Undefined if
 * there is none besides `except`.
 */
export function draw(
  targets: readonly TargetSignals[],
  random: number,
  except?: TargetSignals,
): TargetSignals | undefined {
  let sum = 0
  for (const signals of targets) if (signals !== except) sum += effectiveWeight(signals)
  let left = random * sum
  let last: TargetSignals | undefined
  for (const signals of targets) {
    if (signals === except) continue
    last = signals
    left -= effectiveWeight(signals)
    if (left < 0) break
  }
  return last
}

/** For picks among no candidates, which the balancer never asks for. */
export function noCandidates(): never {
  throw new Error('a strategy was called without candidates')
}
