import { sql, type Transaction } from 'kysely'
import { RouterError } from '../../sdk/errors.ts'
import type { Actor, EntityName } from '../../sdk/teams/directory.ts'
import type { Tables } from '../database/tables.ts'
import type { CommandName, Commands } from './commands.ts'

/** The transaction of a command. */
export type Rows = Transaction<Tables>

/** The author and time of a command. */
export interface Context {
  actor: Actor
  /** Milliseconds since 1970. */
  now: number
}

/** The implementation of each command. */
export type CommandHandlers = {
  [Name in CommandName]: (
    rows: Rows,
    input: Commands[Name]['in'],
    context: Context,
  ) => Promise<Commands[Name]['out']>
}

/** Lifetime of an idempotency key, in milliseconds. */
const idempotencyMs = 24 * 3_600_000

interface Change {
  action: string
  entity: string
  id: string
  before?: object
  after?: object
}

/** Adds an entry to the audit log, and increments the revision, so that all routers read the records again. */
export async function recordChange(
  rows: Rows,
  { actor, now }: Context,
  { action, entity, id, before, after }: Change,
): Promise<void> {
  const revision = await nextRevision(rows)
  await rows
    .insertInto('audit')
    .values({
      id: auditId(now, revision),
      at: now,
      actor: actor.id,
      source: actor.source,
      address: actor.address,
      action,
      entity,
      entity_id: id,
      before: before === undefined ? '' : JSON.stringify(before),
      after: after === undefined ? '' : JSON.stringify(after),
    })
    .execute()
}

/** Returns a unique id; ids sort by time, and within a millisecond by revision. */
function auditId(now: number, revision: number): string {
  const [time, order] = [now, revision].map((part) => part.toString(36).padStart(9, '0'))
  return `${time}-${order}`
}

/**
 * Locks the row of the revision until the end of the transaction, so that each change sees those before it. In SQLite, the
 * transaction has locked the whole database already.
 */
export async function lockRevision(rows: Rows): Promise<void> {
  await rows
    .updateTable('meta')
    .set((build) => ({ value: build.ref('value') }))
    .where('key', '=', 'revision')
    .execute()
}

export async function nextRevision(rows: Rows): Promise<number> {
  const { value } = await rows
    .updateTable('meta')
    .set({ value: sql<string>`cast(cast(value as bigint) + 1 as text)` })
    .where('key', '=', 'revision')
    .returning('value')
    .executeTakeFirstOrThrow()
  return Number(value)
}

/** Returns the id of the record that an earlier request with the same idempotency key created. */
export async function findCreated(
  rows: Rows,
  entity: EntityName | 'keys',
  idempotencyKey: string | undefined,
  { now }: Context,
): Promise<string | undefined> {
  if (idempotencyKey === undefined) return undefined
  await rows
    .deleteFrom('created')
    .where('at', '<', now - idempotencyMs)
    .execute()
  const row = await rows
    .selectFrom('created')
    .select('id')
    .where('idempotency_key', '=', idempotencyKey)
    .where('entity', '=', entity)
    .executeTakeFirst()
  return row?.id
}

/** The error for an idempotency key that an earlier request used to create something else. */
export function idempotencyKeyReused(): RouterError {
  return new RouterError('unprocessable', 'This Idempotency-Key has been used for another request', {
    code: 'idempotency_key_reused',
    param: 'idempotency-key',
  })
}

/** Stores the id of a created record for repeated requests with the same idempotency key. */
export async function rememberCreated(
  rows: Rows,
  entity: EntityName | 'keys',
  id: string,
  idempotencyKey: string | undefined,
  { now }: Context,
): Promise<void> {
  if (idempotencyKey === undefined) return
  await rows.insertInto('created').values({ idempotency_key: idempotencyKey, entity, id, at: now }).execute()
}
