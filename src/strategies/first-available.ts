import type { ExclusiveStrategy } from '../sdk/strategy.ts'

/** The first free target in configuration order, exclusively for one request. */
export const firstAvailable: ExclusiveStrategy = {
  name: 'first_available',
  exclusive: true,
  create: () => ({ order: (candidates) => candidates, reason: () => 'first free' }),
}

/**
 * Like `first_available`, but prefers a host that has the model loaded. All processes must agree which host that is
 * on, so the lease store decides it; the order of the configuration counts among hosts that are equal in this.
 */
export const firstAvailableOptim: ExclusiveStrategy = {
  name: 'first_available_optim',
  exclusive: true,
  affinity: true,
  create: () => ({ order: (candidates) => candidates, reason: () => 'first free, loaded ones first' }),
}
