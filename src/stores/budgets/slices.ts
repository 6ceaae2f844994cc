import { timeZone } from '../../lib/time-zone.ts'
import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import type { Database } from '../database/tables.ts'
import { resetOf, windowOf } from './window.ts'

/** Lifetime of a slice in milliseconds: a process that has not renewed it in this time is considered dead. */
const sliceMs = 30_000
/** Minimum length of an outage, in which no process could renew, after which all slices are extended, in milliseconds. */
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
    wanted: number
    /** What the process may still spend of its current slice before the response arrives; always granted. */
    kept: number
  }[]
}

/** Plain JSON. */
export interface BudgetState {
  id: string
  /** What the process may spend, including its running requests. */
  granted: number
  /** Recorded usage of the window. */
  spent: number
  /** Start of the window, and when a used-up budget is available again, in milliseconds since 1970. */
  start: number
  resetsAt: number
}

export interface SliceContext {
  budgets: readonly { id: string; record: BudgetRecord }[]
  timeZone: string
  /** Milliseconds since 1970. */
  now: number
}

/**
 * Renews the slices of a process. All slices of a budget together never exceed what is left of it. Usage of the process must be
 * recorded before. Atomic: concurrent calls are serialized.
 */
export async function renewSlices(
  db: Database,
  { holder, budgets: asked }: SliceRequest,
  { budgets, timeZone: zone, now }: SliceContext,
): Promise<BudgetState[]> {
  const known = new Map(budgets.map(({ id, record }) => [id, record]))
  return db.transaction().execute(async (rows) => {
    // Locks the row, so that other routers wait until the end of the transaction.
    const key = 'budgets_renewed'
    await rows
      .insertInto('meta')
      .values({ key, value: '0' })
      .onConflict((conflict) =>
        conflict.column('key').doUpdateSet((build) => ({ value: build.ref('meta.value') })),
      )
      .execute()
    const before = await rows.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst()
    if (now - Number(before?.value ?? 0) > outageMs)
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
    for (const { id, reserved, min, wanted, kept } of asked) {
      const record = known.get(id)
      if (!record) continue
      const window = windowOf(record, now, timeZone(zone))
      const quarters = await rows
        .selectFrom('budget_spent')
        .select(['period', 'amount'])
        .where('budget', '=', id)
        .where('period', '>=', window.start)
        .where('period', '<', window.end)
        .orderBy('period')
        .execute()
      const others = await rows
        .selectFrom('budget_slices')
        .select((build) => build.fn.sum<number | null>('amount').as('amount'))
        .where('budget', '=', id)
        .where('holder', '<>', holder)
        .executeTakeFirst()
      const spent = quarters.reduce((sum, { amount }) => sum + amount, 0)
      const free = Math.max(0, record.limit - spent - Number(others?.amount ?? 0) - reserved)
      const useful = free < min ? 0 : Math.min(free, Math.max(wanted, free * share))
      // `kept` may already be spent, so it is granted even if `free` is less: usage that another process has booked counts
      // twice until that process renews its slice.
      const granted = reserved + Math.max(kept, useful)
      await rows
        .insertInto('budget_slices')
        .values({ budget: id, holder, amount: granted, ends_at: now + sliceMs })
        .onConflict((conflict) =>
          conflict.columns(['budget', 'holder']).doUpdateSet({ amount: granted, ends_at: now + sliceMs }),
        )
        .execute()
      states.push({ id, granted, spent, start: window.start, resetsAt: resetOf(record, window, quarters) })
    }
    return states
  })
}

/** Releases the slices of a stopping process. */
export async function returnSlices(db: Database, holder: string): Promise<void> {
  await db.deleteFrom('budget_slices').where('holder', '=', holder).execute()
}
