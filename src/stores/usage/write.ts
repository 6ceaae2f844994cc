import { sql, type Transaction } from 'kysely'
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

export interface WriteOptions {
  /** Milliseconds since 1970. */
  now: number
  /** Id of the previous batch, which is no longer retried. */
  previous: string | undefined
  alsoWrite: AdditionalWrites
  /** Called for each row that the database does not accept. */
  onRejected(row: UsageRow, error: unknown): void
}

/** Additional writes in the same transaction. */
export type AdditionalWrites = (rows: Transaction<Tables>, usage: readonly UsageRow[]) => Promise<void>

/**
 * Writes a batch, except the rows that the database rejects: they would fail forever. Idempotent, because a connection can fail
 * after the commit but before its acknowledgement.
 */
export async function writeBatch(
  db: Database,
  { id, part }: UsageBatch,
  { now, previous, alsoWrite, onRejected }: WriteOptions,
): Promise<void> {
  await db.transaction().execute(async (rows) => {
    const inserted = await rows
      .insertInto('usage_batches')
      .values({ id, at: now })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    if (inserted.numInsertedOrUpdatedRows === 0n) return
    if (previous !== undefined) await rows.deleteFrom('usage_batches').where('id', '=', previous).execute()
    const write = async (usage: readonly UsageRow[]): Promise<void> => {
      await addRows(rows, 'usage_quarters', usage)
      await alsoWrite(rows, usage)
    }
    await writeAccepted(rows, part.rows, { write, onRejected })
    await writeLastUse(rows, Object.entries(part.lastUsed))
  })
}

interface AcceptedWrites {
  write(usage: readonly UsageRow[]): Promise<void>
  onRejected(row: UsageRow, error: unknown): void
}

/** Writes rows; if the database rejects one of them, finds it by halving. */
async function writeAccepted(
  rows: Transaction<Tables>,
  usage: readonly UsageRow[],
  writes: AcceptedWrites,
): Promise<void> {
  if (usage.length === 0) return
  await sql`savepoint usage_rows`.execute(rows)
  try {
    await writes.write(usage)
    await sql`release savepoint usage_rows`.execute(rows)
    return
  } catch (error) {
    if (!isRejectedValue(error)) throw error
    await sql`rollback to savepoint usage_rows`.execute(rows)
    await sql`release savepoint usage_rows`.execute(rows)
    const [first] = usage
    if (first && usage.length === 1) return writes.onRejected(first, error)
  }
  const middle = Math.ceil(usage.length / 2)
  await writeAccepted(rows, usage.slice(0, middle), writes)
  await writeAccepted(rows, usage.slice(middle), writes)
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

/**
 * Whether the database rejected a value, so that the same statement would fail again. PostgreSQL: classes of SQLSTATE
 * (appendix "PostgreSQL Error Codes") for cardinality (21), data (22), constraints (23), and limits such as the length of an
 * indexed value (54). SQLite: the codes of sqlite.ts.
 */
function isRejectedValue(error: unknown): boolean {
  const { code } = Object(error)
  return (
    typeof code === 'string' &&
    /^(?:2[123]|54)[0-9A-Z]{3}$|^SQLITE_(?:TOOBIG|CONSTRAINT|MISMATCH)$/.test(code)
  )
}
