import type { ExclusiveStrategy } from '../sdk/strategy.ts'

/** The first free target in the order of the configuration, for one request alone. */
export const firstAvailable: ExclusiveStrategy = {
  name: 'first_available',
  exclusive: true,
  create: () => ({ order: (candidates) => candidates }),
}
