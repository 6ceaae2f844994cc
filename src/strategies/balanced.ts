import type { SharingStrategy } from '../sdk/strategy.ts'
import { SmoothRotation } from './smooth-rotation.ts'

/**
 * Picks the target with the fewest uses; ties go to the one with fewer requests in flight, then to the first in the
 * configuration. A target does not catch up on picks for which it was not a candidate, such as those made while it was down.
 */
export const balanced: SharingStrategy = {
  name: 'balanced',
  create: ({ random }) => {
    const rotation = new SmoothRotation({
      random,
      weightOf: () => 1,
      tieOf: ({ inFlight }) => inFlight,
    })
    return {
      reason: () => 'fewest uses',
      pick: (candidates) => rotation.next(candidates),
      preview: (candidates) => rotation.peek(candidates),
      scores: (candidates) => rotation.credits(candidates),
      retain: (targets) => rotation.retain(targets),
    }
  },
}
