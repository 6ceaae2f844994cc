import type { Transaction } from 'kysely'
import type { Database, Tables, UsageRow } from '../database/tables.ts'
import { type UsagePart, usageCounts } from './sums.ts'

/** Rows per statement. */
const rowsAtOnce = 50
/** Time after which a batch is never written any more, in milliseconds. */
const batchesKeptMs = 30 * 24 * 3_600_000

export interface UsageBatch {
  id: string
  part: UsagePart
}

/** Additional writes in the same transaction. */
export type AlsoWrite = (rows: Transaction<Tables>, part: UsagePart) => Promise<void>

/** Idempotent per batch: a connection can fail after the commit and before its acknowledgement. */
export async function writeBatch(
  db: Database,
  { id, part }: UsageBatch,
  { now, former, also }: { now: number; former: string | undefined; also: AlsoWrite },
): Promise<void> {
  await db.transaction().execute(async (rows) => {
    const known = await rows
      .insertInto('usage_batches')
      .values({ id, at: now })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    if (known.numInsertedOrUpdatedRows === 0n) return
    if (former !== undefined) await rows.deleteFrom('usage_batches').where('id', '=', former).execute()
    await addRows(rows, 'usage_quarters', part.rows)
    await writeLastUse(rows, Object.entries(part.lastUsed))
    await also(rows, part)
  })
}

/** Adds to existing rows. */
export async function addRows(
  rows: Transaction<Tables>,
  table: 'usage_quarters' | 'usage_days',
  added: readonly UsageRow[],
): Promise<void> {
  // In the same order everywhere, so that two routers do not deadlock.
  const sorted = added.toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
  for (let from = 0; from < sorted.length; from += rowsAtOnce) {
    await rows
      .insertInto(table)
      .values(sorted.slice(from, from + rowsAtOnce))
      .onConflict((conflict) =>
        conflict
          .columns(['period', 'client', 'client_key', 'model', 'target'])
          .doUpdateSet((build) =>
            Object.fromEntries(
              usageCounts.map((count) => [
                count,
                build(build.ref(`${table}.${count}`), '+', build.ref(`excluded.${count}`)),
              ]),
            ),
          ),
      )
      .execute()
  }
}

function orderOf({ period, client, client_key, model, target }: UsageRow): string {
  return JSON.stringify([period, client, client_key, model, target])
}

async function writeLastUse(
  rows: Transaction<Tables>,
  used: readonly (readonly [id: string, at: number])[],
): Promise<void> {
  for (const [id, at] of used.toSorted(([a], [b]) => (a < b ? -1 : 1)))
    await rows
      .updateTable('client_keys')
      .set({ last_used_at: at })
      .where('id', '=', id)
      .where((build) => build.or([build('last_used_at', 'is', null), build('last_used_at', '<', at)]))
      .execute()
}

export async function forgetOldBatches(db: Database, now: number): Promise<void> {
  await db
    .deleteFrom('usage_batches')
    .where('at', '<', now - batchesKeptMs)
    .execute()
}
