import { timeZone } from '../../lib/time-zone.ts'
import type { BudgetRecord } from '../../sdk/teams/directory.ts'
import type { Database } from '../database/tables.ts'
import { resetOf, windowOf } from './window.ts'

/** A process that has not renewed its slices for so long is dead, and they return, in milliseconds. */
const sliceMs = 30_000
/** After a pause of this length in milliseconds, nobody could renew, so all slices are extended. */
const outageMs = 5_000
/** A slice is this part of what is free, so that it shrinks towards the end of the budget. */
const share = 1 / 4

/** What a process asks for. Plain JSON. */
export interface SliceRequest {
  /** Names the process. */
  holder: string
  budgets: readonly {
    id: string
    /** What its running requests are expected to take. */
    reserved: number
    /** The least that is of use: the smallest request that waits, or a typical one. With less the slice is given back. */
    least: number
    /** For all requests that wait, and at least a typical one. */
    wanted: number
    /** What the process may still spend of its slice until the answer reaches it. No other process gets it. */
    kept: number
  }[]
}

/** Plain JSON. */
export interface BudgetState {
  id: string
  /** What the process may spend, its running requests included. */
  granted: number
  /** Of the window, as far as it is booked. */
  spent: number
  /** Beginning of the window and when there is room again, in milliseconds since 1970. */
  start: number
  resetsAt: number
}

export interface SliceContext {
  budgets: readonly { id: string; record: BudgetRecord }[]
  timeZone: string
  /** Milliseconds since 1970. */
  now: number
}

/** Gives a process its slices, together never more than what is left of a budget. What it has used must be booked before. */
export async function renewSlices(
  db: Database,
  { holder, budgets: asked }: SliceRequest,
  { budgets, timeZone: zone, now }: SliceContext,
): Promise<BudgetState[]> {
  const known = new Map(budgets.map(({ id, record }) => [id, record]))
  return db.transaction().execute(async (rows) => {
    // Locks out other routers until the end of the transaction.
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
    for (const { id, reserved, least, wanted, kept } of asked) {
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
      const useful = free < least ? 0 : Math.min(free, Math.max(wanted, free * share))
      // What is kept may be spent already. `free` can be less: what others have booked counts twice until they renew their slices.
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

/** A process that stops gives its slices back. */
export async function returnSlices(db: Database, holder: string): Promise<void> {
  await db.deleteFrom('budget_slices').where('holder', '=', holder).execute()
}
