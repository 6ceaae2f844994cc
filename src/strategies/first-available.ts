import type { ExclusiveStrategy } from '../sdk/strategy.ts'

/** Reserves the first free target in configuration order exclusively for one request. */
export const firstAvailable: ExclusiveStrategy = {
  name: 'first_available',
  exclusive: true,
  create: () => ({ order: (candidates) => candidates, reason: () => 'first free' }),
}

/**
 * Like `first_available`, but prefers a host that has the model loaded. All processes must agree on the host, so the lease
 * store chooses it; ties go to the first host in configuration order.
 */
export const firstAvailableOptim: ExclusiveStrategy = {
  name: 'first_available_optim',
  exclusive: true,
  affinity: true,
  create: () => ({ order: (candidates) => candidates, reason: () => 'first free, loaded ones first' }),
}
