import type { TimeZone } from '../../lib/time-zone.ts'
import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import { quarterMs } from '../usage/sums.ts'

/** Milliseconds since 1970. */
export interface BudgetWindow {
  /** Start of the window. */
  start: number
  /** Start of the next window; for a rolling one, when its oldest 15 minutes leave it. */
  end: number
}

/** Returns the current window of a budget. Days are those of the time zone, including daylight saving time. */
export function windowOf(
  { window, hours }: Pick<BudgetRecord, 'window' | 'hours'>,
  now: number,
  zone: TimeZone,
): BudgetWindow {
  switch (window) {
    case 'day':
      return { start: zone.startOfDay(now), end: zone.dayAfter(now, 1) }
    case 'week': {
      const start = zone.startOfWeek(now)
      return { start, end: zone.dayAfter(start, 7) }
    }
    case 'month':
      return { start: zone.startOfMonth(now), end: zone.monthAfter(now, 1) }
    case 'rolling': {
      const end = (Math.floor(now / quarterMs) + 1) * quarterMs
      return { start: end - (hours ?? 1) * 4 * quarterMs, end }
    }
  }
}

/**
 * Returns when an exhausted budget becomes available again. `quarters`: spending per 15 minutes, in chronological order.
 */
export function resetOf(
  record: Pick<BudgetRecord, 'window' | 'hours' | 'limit'>,
  { start, end }: BudgetWindow,
  quarters: readonly { period: number; amount: number }[],
): number {
  if (record.window !== 'rolling') return end
  let left = quarters.reduce((sum, { amount }) => sum + amount, 0)
  for (const { period, amount } of quarters) {
    left -= amount
    // The end of the first window that does not include this quarter: quarters are recorded by their start.
    if (left < record.limit) return Math.max(end, period + (end - start))
  }
  return end
}
