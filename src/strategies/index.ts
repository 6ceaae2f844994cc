import type { Strategy } from '../sdk/strategy.ts'
import { adaptive } from './adaptive.ts'
import { balanced } from './balanced.ts'
import { cacheAware } from './cache-aware.ts'
import { dynamicWeighted } from './dynamic-weighted.ts'
import { firstAvailable, firstAvailableOptim } from './first-available.ts'
import { leastBusy } from './least-busy.ts'
import { weighted } from './weighted.ts'

/** The built-in strategies. */
export const strategies: readonly Strategy[] = [
  balanced,
  weighted,
  dynamicWeighted,
  firstAvailable,
  firstAvailableOptim,
  leastBusy,
  adaptive,
  cacheAware,
]
