import { errorWords, safeCodeOf } from '../../sdk/console/error-words.ts'
import type { Status, TargetError } from '../../sdk/console/status.ts'
import type { RouterError } from '../../sdk/errors.ts'
import { RecentCount } from './recent-count.ts'

/** Maximum number of entries per list. */
export const maxEntries = { errors: 5, failures: 20 } as const

export interface TargetHistory {
  ended: RecentCount
  failed: RecentCount
  errors: TargetError[]
}

/** Counts of this process since its start, of the requests that named a model. */
export interface RequestCounts {
  read(): Status['requests']
  /** Requests for a model in the last minute that were rejected because no target was available. */
  refusedOf(model: string): number
  failures: Status['failures']
}

export function newCount(): RecentCount {
  return new RecentCount(() => performance.now())
}

/** Prepends an item and removes the oldest ones beyond `most`. */
export function prependBounded<Item>(list: Item[], item: Item, most: number): void {
  list.unshift(item)
  list.length = Math.min(list.length, most)
}

/** An error by its code and in words. */
export function errorSummary(error: RouterError): { code: string; text: string } {
  const code = safeCodeOf(error)
  return { code, text: errorWords(code) }
}

export function timestamp(): string {
  return new Date().toISOString()
}

export function rounded(value: number): number {
  return Math.round(value * 10) / 10
}
