import type { TimeZone } from '../../lib/time-zone.ts'
import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import { quarterMs } from '../usage/sums.ts'

/** Milliseconds since 1970. */
export interface BudgetWindow {
  /** The first moment that counts. */
  start: number
  /** When a new window begins; of a rolling one, when its oldest quarter of an hour no longer counts. */
  end: number
}

/** The window of a budget that `now` is in. Days are those of the zone, also where the clocks change. */
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
 * When a budget that is used up has room again. `quarters`: what was spent in each quarter of an hour, in the order of time.
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
