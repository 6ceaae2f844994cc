import { timeZone } from '../../lib/time-zone.ts'
import { deleteOldSpending } from '../budgets/spent.ts'
import type { Database } from '../database/tables.ts'
import { UsageSums } from './sums.ts'
import { addRows, deleteOldBatches } from './write.ts'

export interface UsageRetention {
  /** IANA time zone that defines days. */
  timeZone: string
  /** Days for which usage is kept per 15 minutes. */
  quarterDays: number
  /** Days for which daily usage is kept. */
  days: number
}

/** Days aggregated per transaction. */
const daysAtOnce = 7

/** Aggregates old usage per 15 minutes to days, and deletes the oldest days. Several routers may call it concurrently. */
export async function applyRetention(db: Database, retention: UsageRetention, now: number): Promise<void> {
  const zone = timeZone(retention.timeZone)
  const cutOff = zone.dayAfter(now, -retention.quarterDays)
  for (;;) {
    const oldest = await db
      .selectFrom('usage_quarters')
      .select('period')
      .where('period', '<', cutOff)
      .orderBy('period')
      .limit(1)
      .executeTakeFirst()
    if (!oldest) break
    await aggregateDays(db, Math.min(cutOff, zone.dayAfter(oldest.period, daysAtOnce)), zone.startOfDay)
  }
  await db.deleteFrom('usage_days').where('period', '<', zone.dayAfter(now, -retention.days)).execute()
  await deleteOldBatches(db, now)
  await deleteOldSpending(db, now)
}

async function aggregateDays(
  db: Database,
  before: number,
  startOfDay: (at: number) => number,
): Promise<void> {
  await db.transaction().execute(async (rows) => {
    // Blocks other routers, which would otherwise aggregate the same rows again.
    await rows
      .insertInto('meta')
      .values({ key: 'usage_days', value: String(before) })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: String(before) }))
      .execute()
    const old = await rows.selectFrom('usage_quarters').selectAll().where('period', '<', before).execute()
    const sums = new UsageSums(Number.POSITIVE_INFINITY)
    for (const row of old) sums.add({ ...row, period: startOfDay(row.period) })
    await addRows(rows, 'usage_days', sums.take().rows)
    await rows.deleteFrom('usage_quarters').where('period', '<', before).execute()
  })
}
