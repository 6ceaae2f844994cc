import type { SharingStrategy } from '../sdk/strategy.ts'
import { SmoothRotation } from './smooth-rotation.ts'

/**
 * Fewest uses first; ties go to the one with fewer calls in flight, then to the order of the configuration. Only the
 * picks for which a target was a candidate count: it does not catch up on picks made while it was down.
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
