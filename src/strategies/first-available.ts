import type { ExclusiveStrategy } from '../sdk/strategy.ts'

/** The first free target in the order of the configuration, for one request alone. */
export const firstAvailable: ExclusiveStrategy = {
  name: 'first_available',
  exclusive: true,
  create: () => ({ order: (candidates) => candidates, reason: () => 'first free' }),
}

/**
 * As `first_available`, but a host that has the model loaded goes first. Which host that is, all processes must agree
 * on, so the lease store decides it; the order of the configuration counts among hosts that are equal in this.
 */
export const firstAvailableOptim: ExclusiveStrategy = {
  name: 'first_available_optim',
  exclusive: true,
  affinity: true,
  create: () => ({ order: (candidates) => candidates, reason: () => 'first free, loaded ones first' }),
}
