import type { Transaction } from 'kysely'
import type { Database, Tables, UsageRow } from '../database/tables.ts'
import { type UsagePart, usageCounts } from './sums.ts'

/** Rows per statement. */
const rowsAtOnce = 50
/** Time after which a batch is no longer retried, so that its id can be deleted, in milliseconds. */
const batchesKeptMs = 30 * 24 * 3_600_000

export interface UsageBatch {
  id: string
  part: UsagePart
}

/** Additional writes in the same transaction. */
export type AdditionalWrites = (rows: Transaction<Tables>, part: UsagePart) => Promise<void>

/** Writes a batch. Idempotent, because a connection can fail after the commit but before its acknowledgement. */
export async function writeBatch(
  db: Database,
  { id, part }: UsageBatch,
  { now, previous, also }: { now: number; previous: string | undefined; also: AdditionalWrites },
): Promise<void> {
  await db.transaction().execute(async (rows) => {
    const known = await rows
      .insertInto('usage_batches')
      .values({ id, at: now })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    if (known.numInsertedOrUpdatedRows === 0n) return
    if (previous !== undefined) await rows.deleteFrom('usage_batches').where('id', '=', previous).execute()
    await addRows(rows, 'usage_quarters', part.rows)
    await writeLastUse(rows, Object.entries(part.lastUsed))
    await also(rows, part)
  })
}

/** Adds usage to existing rows, or inserts them. */
export async function addRows(
  rows: Transaction<Tables>,
  table: 'usage_quarters' | 'usage_days',
  added: readonly UsageRow[],
): Promise<void> {
  // Sorted, so that two routers do not deadlock.
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

export async function deleteOldBatches(db: Database, now: number): Promise<void> {
  await db
    .deleteFrom('usage_batches')
    .where('at', '<', now - batchesKeptMs)
    .execute()
}
