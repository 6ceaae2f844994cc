import type { ExclusiveStrategy } from '../sdk/strategy.ts'

/** The first free target in configuration order, exclusively for one request. */
export const firstAvailable: ExclusiveStrategy = {
  name: 'first_available',
  exclusive: true,
  create: () => ({ order: (candidates) => candidates, reason: () => 'first free' }),
}

/**
 * Like `first_available`, but prefers a host that has the model loaded. All processes must agree which host that
 * is, so the lease store decides; ties go to the first host in configuration order.
 */
export const firstAvailableOptim: ExclusiveStrategy = {
  name: 'first_available_optim',
  exclusive: true,
  affinity: true,
  create: () => ({ order: (candidates) => candidates, reason: () => 'first free, loaded ones first' }),
}
