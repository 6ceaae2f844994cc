import type { Transaction } from 'kysely'
import { withoutFloatNoise } from '../../lib/numbers.ts'
import { timeZone } from '../../lib/time-zone.ts'
import type { BudgetStatus } from '../../sdk/teams/budget-status.ts'
import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import type { Tables } from '../database/tables.ts'
import { quarterMs } from '../usage/sums.ts'
import { readQuarters, type SpentQuarter, totalOf } from './spent.ts'
import { type BudgetWindow, resetOf, windowOf } from './window.ts'

/** Maximum number of steps of a window, plus one for a change of daylight saving time. */
const maxSteps = 62

/** Returns the state of a budget from recorded usage. `now`: milliseconds since 1970. */
export async function budgetStatus(
  rows: Transaction<Tables>,
  { id, record, zone }: { id: string; record: BudgetRecord; zone: string },
  now: number,
): Promise<BudgetStatus> {
  const window = windowOf(record, now, timeZone(zone))
  const quarters = await readQuarters(rows, id, window)
  const spent = totalOf(quarters)
  const left = Math.max(0, record.limit - spent)
  const perMs = rateOf(quarters, window, now)
  const isRolling = record.window === 'rolling'
  const usedUpAt = now + left / perMs
  const willBeUsedUp = left > 0 && perMs > 0 && (isRolling || usedUpAt < window.end)
  const iso = (at: number): string => new Date(at).toISOString()
  return {
    spent: withoutFloatNoise(spent),
    left: withoutFloatNoise(left),
    window_start: iso(window.start),
    window_end: iso(window.end),
    resets_at: iso(resetOf(record, window, quarters)),
    projected: withoutFloatNoise(isRolling ? perMs * lengthOf(window) : spent + perMs * (window.end - now)),
    used_up_at:
      willBeUsedUp && (!isRolling || perMs * lengthOf(window) > record.limit) ? iso(usedUpAt) : null,
    ...stepsOf(quarters, window, now),
  }
}

/** Returns the recent spending per millisecond. */
function rateOf(quarters: readonly SpentQuarter[], window: BudgetWindow, now: number): number {
  const since = Math.max(window.start, quarterOf(now - lengthOf(window) / 4))
  const recent = quarters.filter(({ period }) => period >= since)
  return totalOf(recent) / Math.max(quarterMs, now - since)
}

function stepsOf(
  quarters: readonly SpentQuarter[],
  window: BudgetWindow,
  now: number,
): Pick<BudgetStatus, 'step_seconds' | 'steps'> {
  const stepMs = quarterMs * Math.ceil(lengthOf(window) / quarterMs / maxSteps)
  const indexOf = (at: number): number => Math.floor((at - window.start) / stepMs)
  const steps = new Array<number>(indexOf(now) + 1).fill(0)
  for (const { period, amount } of quarters) {
    const index = Math.min(indexOf(period), steps.length - 1)
    steps[index] = (steps[index] ?? 0) + amount
  }
  return { step_seconds: stepMs / 1000, steps: steps.map(withoutFloatNoise) }
}

function lengthOf({ start, end }: BudgetWindow): number {
  return end - start
}

function quarterOf(at: number): number {
  return Math.floor(at / quarterMs) * quarterMs
}
