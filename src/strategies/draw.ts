import type { TargetSignals } from '../sdk/strategy.ts'

/** The weight that is set for the target, else the configured one. */
export function weightOf({ target, weight = target.weight }: TargetSignals): number {
  return weight
}

/** The effective weight: if all targets have 0, all are equal. */
export function weightInPlay(signals: TargetSignals): number {
  const weight = weightOf(signals)
  return weight > 0 ? weight : 1
}

/** Requests at the target: those of this process, and those of everybody else at the last poll of its engine. */
export function loadOf({ inFlight, engine }: TargetSignals): number {
  return inFlight + (engine?.others ?? 0)
}

/**
 * The eligible candidates: those with a positive weight, or all if none has one. Returns the same list if that is all of them.
 */
export function inPlay(candidates: readonly TargetSignals[]): readonly TargetSignals[] {
  if (candidates.every(hasWeight)) return candidates
  const weighty = candidates.filter(hasWeight)
  return weighty.length > 0 ? weighty : candidates
}

function hasWeight(signals: TargetSignals): boolean {
  return weightOf(signals) > 0
}

/**
 * Draws one target that is in play, each with a chance by its weight. `random`: 0 (included) to 1 (excluded). Undefined where
 * `except` is the only one.
 */
export function draw(
  targets: readonly TargetSignals[],
  random: number,
  except?: TargetSignals,
): TargetSignals | undefined {
  let sum = 0
  for (const signals of targets) if (signals !== except) sum += weightInPlay(signals)
  let left = random * sum
  let last: TargetSignals | undefined
  for (const signals of targets) {
    if (signals === except) continue
    last = signals
    left -= weightInPlay(signals)
    if (left < 0) break
  }
  return last
}
