import type { SharingStrategy, TargetSignals } from '../sdk/strategy.ts'
import { draw, effectiveWeight, loadOf, noCandidates, withWeight } from './draw.ts'

/**
 * Draws two targets by weight and picks the one with fewer requests in flight per weight, including those of other users if the
 * engine reports them. Ties go to the first one drawn, so idle targets share by weight. Two random choices perform nearly as
 * well as comparing all targets, and keep several routers from picking the same idle target at once (Mitzenmacher, "The Power
 * of Two Choices in Randomized Load Balancing", 2001).
 */
export const leastBusy: SharingStrategy = {
  name: 'least_busy',
  usesWeights: true,
  create: ({ random }) => ({
    reason: () => 'least loaded',
    pick: (candidates) => lessBusy(candidates, random),
    preview: (candidates) => lessBusy(candidates, random),
    scores: (candidates) => candidates.map((signals) => -load(signals)),
  }),
}

function lessBusy(candidates: readonly TargetSignals[], random: () => number): TargetSignals {
  const targets = withWeight(candidates)
  const first = draw(targets, random())
  const second = draw(targets, random(), first)
  if (!first) return noCandidates()
  return second && load(second) < load(first) ? second : first
}

function load(signals: TargetSignals): number {
  return loadOf(signals) / effectiveWeight(signals)
}
