import type { TimeZone } from '../../lib/time-zone.ts'
import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import type { Database } from '../database/tables.ts'
import { readQuarters, totalOf } from './spent.ts'
import { resetOf, windowOf } from './window.ts'

/** Lifetime of a slice in milliseconds: a process that has not renewed it in this time is considered dead. */
const sliceMs = 30_000
/** Length of an outage, in which no process could renew, after which all slices end `sliceMs` later, in milliseconds. */
const outageMs = 5_000
/** Share of the free budget per slice, so that slices shrink as the budget is used up. */
const share = 1 / 4

/** Request of a process to renew its slices. Plain JSON. */
export interface SliceRequest {
  /** Id of the process. */
  holder: string
  budgets: readonly {
    id: string
    /** Expected usage of its running requests. */
    reserved: number
    /** Minimum useful size: that of the smallest waiting request, or of a typical one. A smaller slice is not granted. */
    min: number
    /** Size for all waiting requests, and at least for a typical one. */
    desired: number
    /** What the process may still spend of its current slice before the response arrives; always granted. */
    retained: number
  }[]
}

/** Recorded usage of a budget. Plain JSON. */
export interface BudgetSpending {
  id: string
  /** Recorded usage of the window. */
  spent: number
  /** Start of the window, and when a used-up budget is available again, in milliseconds since 1970. */
  start: number
  resetsAt: number
}

/** Plain JSON. */
export interface BudgetState extends BudgetSpending {
  /** What the process may spend, including its running requests. */
  granted: number
}

export interface SliceContext {
  budgets: readonly { id: string; record: BudgetRecord }[]
  zone: TimeZone
  /** Milliseconds since 1970. */
  now: number
}

/**
 * Renews the slices of a process. All slices of a budget together never exceed what is left of it. Usage of the process must be
 * recorded before. Atomic: concurrent calls are serialized.
 */
export async function renewSlices(
  db: Database,
  { holder, budgets: requests }: SliceRequest,
  { budgets, zone, now }: SliceContext,
): Promise<BudgetState[]> {
  const records = new Map(budgets.map(({ id, record }) => [id, record]))
  return db.transaction().execute(async (rows) => {
    // Locks the row, so that other routers wait until the end of the transaction.
    const key = 'budgets_renewed'
    const before = await rows
      .insertInto('meta')
      .values({ key, value: '0' })
      .onConflict((conflict) =>
        conflict.column('key').doUpdateSet((build) => ({ value: build.ref('meta.value') })),
      )
      .returning('value')
      .executeTakeFirstOrThrow()
    // Also when the clock was set back: the slice of a process that has died would keep its time until then.
    if (Math.abs(now - Number(before.value)) > outageMs)
      await rows
        .updateTable('budget_slices')
        .set({ ends_at: now + sliceMs })
        .execute()
    await rows
      .updateTable('meta')
      .set({ value: String(now) })
      .where('key', '=', key)
      .execute()
    await rows.deleteFrom('budget_slices').where('ends_at', '<=', now).execute()
    const states: BudgetState[] = []
    for (const { id, reserved, min, desired, retained } of requests) {
      const record = records.get(id)
      if (!record) continue
      const { spent, start, resetsAt } = await readSpending(rows, { id, record }, { zone, now })
      const others = await rows
        .selectFrom('budget_slices')
        .select((build) => build.fn.sum<number | null>('amount').as('amount'))
        .where('budget', '=', id)
        .where('holder', '<>', holder)
        .executeTakeFirst()
      const free = Math.max(0, record.limit - spent - Number(others?.amount ?? 0) - reserved)
      const useful = free < min ? 0 : Math.min(free, Math.max(desired, free * share))
      // `kept` may already be spent, so it is granted even if `free` is less: usage that another process has booked counts
      // twice until that process renews its slice.
      const granted = reserved + Math.max(retained, useful)
      await rows
        .insertInto('budget_slices')
        .values({ budget: id, holder, amount: granted, ends_at: now + sliceMs })
        .onConflict((conflict) =>
          conflict.columns(['budget', 'holder']).doUpdateSet({ amount: granted, ends_at: now + sliceMs }),
        )
        .execute()
      states.push({ id, granted, spent, start, resetsAt })
    }
    return states
  })
}

/** Reads the recorded usage of a budget's current window. */
export async function readSpending(
  db: Database,
  { id, record }: SliceContext['budgets'][number],
  { zone, now }: Pick<SliceContext, 'zone' | 'now'>,
): Promise<BudgetSpending> {
  const window = windowOf(record, now, zone)
  const quarters = await readQuarters(db, id, window)
  return { id, spent: totalOf(quarters), start: window.start, resetsAt: resetOf(record, window, quarters) }
}

/** Releases the slices of a stopping process. */
export async function returnSlices(db: Database, holder: string): Promise<void> {
  await db.deleteFrom('budget_slices').where('holder', '=', holder).execute()
}
