import type { SharingStrategy } from '../sdk/strategy.ts'
import { weightOf } from './draw.ts'
import { SmoothRotation } from './smooth-rotation.ts'

/** Distributes requests by weight: exactly in every full cycle, and evenly spread over it. */
export const weighted: SharingStrategy = {
  name: 'weighted',
  usesWeights: true,
  create: ({ random }) => {
    const rotation = new SmoothRotation({ random, weightOf })
    return {
      reason: () => 'by weight',
      pick: (candidates) => rotation.next(candidates),
      preview: (candidates) => rotation.peek(candidates),
      scores: (candidates) => rotation.credits(candidates),
      retain: (targets) => rotation.retain(targets),
    }
  },
}
