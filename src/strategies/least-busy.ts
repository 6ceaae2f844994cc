import type { SharingStrategy, TargetSignals } from '../sdk/strategy.ts'
import { draw, inPlay, loadOf, weightInPlay } from './draw.ts'

/**
 * Draws two targets by weight and takes the one with fewer calls in flight per weight, those of other users included where the engine tells them; with equal ones the first drawn,
 * so that idle targets share as their weights say. Two at random do nearly as well as looking at all of them, and keep
 * several routers from running for the same idle target at once (Mitzenmacher, "The Power of Two Choices in Randomized
 * Load Balancing", 2001).
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
  const targets = inPlay(candidates)
  const first = draw(targets, random())
  const second = draw(targets, random(), first)
  if (!first) throw new Error('a strategy was given no candidates')
  return second && load(second) < load(first) ? second : first
}

function load(signals: TargetSignals): number {
  return loadOf(signals) / weightInPlay(signals)
}
