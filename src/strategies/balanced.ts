import type { Strategy, TargetSignals } from '../core/strategy.ts'

/** Fewest uses first; ties go to the one with fewer calls in flight, then to the order of the configuration. */
export const balanced: Strategy = {
  name: 'balanced',
  create: () => ({
    pick: (candidates) => candidates.reduce((best, next) => (comesBefore(next, best) ? next : best)),
  }),
}

function comesBefore(a: TargetSignals, b: TargetSignals): boolean {
  if (a.uses !== b.uses) return a.uses < b.uses
  return a.inFlight < b.inFlight
}
