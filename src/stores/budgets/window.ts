import type { TimeZone } from '../../lib/time-zone.ts'
import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import { quarterMs } from '../usage/sums.ts'

/** Milliseconds since 1970. */
export interface BudgetWindow {
  /** Start of the window. */
  start: number
  /** Start of the next window; for a rolling one, when its oldest quarter of an hour leaves it. */
  end: number
}

/** The current window of a budget. Days are those of the time zone, including daylight saving time. */
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
 * When an exhausted budget becomes available again. `quarters`: spending per quarter of an hour, in order of time.
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
    // The window that begins after this quarter of an hour; the last one of it has just begun.
    if (left < record.limit) return Math.max(end, period + (end - start))
  }
  return end
}
