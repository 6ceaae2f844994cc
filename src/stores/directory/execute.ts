import { createHash, randomBytes } from 'node:crypto'
import { Value } from '@sinclair/typebox/value'
import { sql, type Transaction } from 'kysely'
import { allowedBy } from '../../lib/json/allowed.ts'
import {
  type Actor,
  type BudgetRecord,
  type Entities,
  type EntityName,
  recordError,
  recordNouns,
  recordSchemas,
  type Stored,
} from '../../sdk/directory.ts'
import { badRequest, RouterError } from '../../sdk/errors.ts'
import { addUpBudget, forgetBudget } from '../budgets/spent.ts'
import type { Database, EntityRow, Tables } from '../database/tables.ts'
import { readUsage } from '../usage/read.ts'
import {
  type Command,
  type CommandName,
  type CommandResult,
  type Commands,
  type ListInput,
  type Page,
  storedKey,
} from './commands.ts'

type Rows = Transaction<Tables>

interface Context {
  actor: Actor
  /** Milliseconds since 1970. */
  now: number
}

const tables = {
  clients: 'clients',
  groups: 'client_groups',
  prices: 'prices',
  budgets: 'budgets',
} as const
/** How long a repeated create with the same idempotency key finds what it made, in milliseconds. */
const idempotencyMs = 24 * 3_600_000
/** Keys in the table meta: sessions that were ended before their time. */
export const endedPrefix = 'session:'
const defaultOverlapSeconds = 86_400

type Handlers = {
  [Name in CommandName]: (
    rows: Rows,
    input: Commands[Name]['in'],
    context: Context,
  ) => Promise<Commands[Name]['out']>
}

/** Runs a command in one transaction, together with its line in the audit log and the new revision. Never rejects for what the operator did wrong. */
export async function execute<Name extends CommandName>(
  db: Database,
  { name, input, actor }: Command<Name>,
  now: number,
): Promise<CommandResult<Name>> {
  try {
    const handler: Handlers[Name] = handlers[name]
    return {
      ok: await withoutRaces(() => db.transaction().execute((rows) => handler(rows, input, { actor, now }))),
    }
  } catch (thrown) {
    if (!(thrown instanceof RouterError)) throw thrown
    const { kind, message, code = 'invalid', param, status } = thrown
    return { error: { kind, status, message, code, ...(param === undefined ? {} : { param }) } }
  }
}

/** Somebody else has changed the same row since it was read. */
class Raced extends Error {}

/** PostgreSQL's code for a row that somebody else has created meanwhile: unique_violation. */
const uniqueViolation = '23505'
const mostTries = 5

/** Runs a transaction again that another one was faster than: then it finds what that one has done. */
async function withoutRaces<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await run()
    } catch (error) {
      const isRace = error instanceof Raced || Object(error).code === uniqueViolation
      if (!isRace || tries === mostTries) throw error
    }
  }
}

const handlers: Handlers = {
  async list(rows, { entity, of, ...page }) {
    const columns = ['id', 'record', 'version', 'created_at', 'updated_at'] as const
    if (of !== undefined && entity === 'clients') {
      const query = rows.selectFrom('clients').select(columns).where('group_id', '=', of).orderBy('id')
      return pageOf<EntityRow, Stored<Entities[EntityName]>>(query, page, stored)
    }
    const query = rows.selectFrom(tables[entity]).select(columns).orderBy('id')
    return pageOf<EntityRow, Stored<Entities[EntityName]>>(query, page, stored)
  },

  async get(rows, { entity, id }) {
    return stored(await find(rows, entity, id))
  },

  async create(rows, { entity, id, record, idempotencyKey }, context) {
    const before = await createdBefore(rows, entity, idempotencyKey, context)
    if (before !== undefined) return { stored: stored(await find(rows, entity, before)), isNew: false }
    check(entity, record)
    await checkReferences(rows, entity, id, record)
    if (entity === 'budgets') await addUpBudget(rows, id, record as BudgetRecord, context.now)
    const known = await rows.selectFrom(tables[entity]).select('id').where('id', '=', id).executeTakeFirst()
    if (known) throw conflict(`There is a ${recordNouns[entity]} '${id}' already`, 'already_exists')
    const row = {
      id,
      record: JSON.stringify(record),
      version: 1,
      created_at: context.now,
      updated_at: context.now,
    }
    await rows
      .insertInto(tables[entity])
      .values({ ...row, ...referencesOf(entity, record) })
      .execute()
    await remember(rows, entity, id, idempotencyKey, context)
    await changed(rows, context, { action: 'create', entity: recordNouns[entity], id, after: record })
    return { stored: stored(row), isNew: true }
  },

  async change(rows, { entity, id, changes, version }, context) {
    const row = await find(rows, entity, id)
    checkVersion(row, version)
    const before: object = JSON.parse(row.record)
    const record: Entities[EntityName] = { ...before, ...changes }
    check(entity, record)
    await checkReferences(rows, entity, id, record)
    if (entity === 'budgets') await addUpBudget(rows, id, record as BudgetRecord, context.now)
    const next = { ...row, record: JSON.stringify(record), version: row.version + 1, updated_at: context.now }
    const { numUpdatedRows } = await rows
      .updateTable(tables[entity])
      .set({
        record: next.record,
        version: next.version,
        updated_at: context.now,
        ...referencesOf(entity, record),
      })
      .where('id', '=', id)
      .where('version', '=', row.version)
      .executeTakeFirst()
    if (numUpdatedRows === 0n) throw new Raced()
    await changed(rows, context, { action: 'change', entity: recordNouns[entity], id, before, after: record })
    return stored(next)
  },

  async remove(rows, { entity, id, version }, context) {
    const row = await find(rows, entity, id)
    checkVersion(row, version)
    if (entity === 'groups') await checkEmpty(rows, id)
    if (entity === 'budgets') await forgetBudget(rows, id)
    const { numDeletedRows } = await rows
      .deleteFrom(tables[entity])
      .where('id', '=', id)
      .where('version', '=', row.version)
      .executeTakeFirst()
    if (numDeletedRows === 0n) throw new Raced()
    await changed(rows, context, {
      action: 'remove',
      entity: recordNouns[entity],
      id,
      before: JSON.parse(row.record),
    })
    return null
  },

  async keys(rows, { client, ...page }) {
    let query = rows.selectFrom('client_keys').selectAll()
    if (client !== undefined) query = query.where('client_id', '=', client)
    return pageOf(query.orderBy('id'), page, storedKey)
  },

  async createKey(rows, { client, key, idempotencyKey }, context) {
    const before = await createdBefore(rows, 'keys', idempotencyKey, context)
    if (before !== undefined) return { stored: storedKey(await findKey(rows, before)), isNew: false }
    await find(rows, 'clients', client)
    const made = await addKey(rows, client, key, context)
    await remember(rows, 'keys', made.id, idempotencyKey, context)
    return { stored: made, isNew: true }
  },

  async exists(rows, { entity, id }) {
    return (
      (await rows.selectFrom(tables[entity]).select('id').where('id', '=', id).executeTakeFirst()) !==
      undefined
    )
  },

  async importKey(rows, { client, sha256 }, context) {
    const known = await rows
      .selectFrom('client_keys')
      .selectAll()
      .where('sha256', '=', sha256)
      .executeTakeFirst()
    if (known) return { stored: storedKey(known), isNew: false }
    await find(rows, 'clients', client)
    const row = {
      ...newKeyRow(client, sha256, context),
      description: 'imported',
    }
    await rows.insertInto('client_keys').values(row).execute()
    await changed(rows, context, { action: 'import', entity: 'key', id: row.id, after: { client } })
    return { stored: storedKey(row), isNew: true }
  },

  async rotateKey(rows, { id, rotation }, context) {
    const old = await findKey(rows, id)
    const endsAt = context.now + (rotation.overlap_seconds ?? defaultOverlapSeconds) * 1000
    if (ended(old, context.now)) throw conflict(`The key '${id}' has ended already`, 'key_ended')
    const made = await addKey(
      rows,
      old.client_id,
      { description: old.description, expires_at: null },
      context,
    )
    const until = old.expires_at === null ? endsAt : Math.min(endsAt, old.expires_at)
    await rows.updateTable('client_keys').set({ expires_at: until }).where('id', '=', id).execute()
    await changed(rows, context, { action: 'rotate', entity: 'key', id, after: { new_key: made.id } })
    return made
  },

  async revokeKey(rows, { id }, context) {
    const row = await findKey(rows, id)
    if (row.revoked_at !== null) return storedKey(row)
    await rows.updateTable('client_keys').set({ revoked_at: context.now }).where('id', '=', id).execute()
    await changed(rows, context, { action: 'revoke', entity: 'key', id, before: { client: row.client_id } })
    return storedKey({ ...row, revoked_at: context.now })
  },

  async endSession(rows, { id, endsAt }, { now }) {
    const old = await rows.selectFrom('meta').selectAll().where('key', 'like', `${endedPrefix}%`).execute()
    for (const { key, value } of old)
      if (Number(value) < now) await rows.deleteFrom('meta').where('key', '=', key).execute()
    await rows
      .insertInto('meta')
      .values({ key: endedPrefix + id, value: String(endsAt) })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    await nextRevision(rows)
    return null
  },

  async recordReload(rows, { setting, before, after }, context) {
    await changed(rows, context, { action: 'reload', entity: 'file', id: setting, before, after })
    return null
  },

  usage: (rows, question) => readUsage(rows, question),

  async audit(rows, { cursor, limit }) {
    let query = rows.selectFrom('audit').selectAll().orderBy('id', 'desc')
    if (cursor !== undefined) query = query.where('id', '<', cursor)
    const found = await query.limit(limit + 1).execute()
    return pageFrom(found, limit, (row) => ({ ...row, at: new Date(row.at).toISOString() }))
  },
}

interface Pageable<Row> {
  where(column: 'id', operator: '>', value: string): Pageable<Row>
  limit(count: number): { execute(): Promise<Row[]> }
}

async function pageOf<Row extends { id: string }, Item>(
  query: unknown,
  { cursor, limit }: ListInput,
  read: (row: Row) => Item,
): Promise<Page<Item>> {
  const rows = query as Pageable<Row> // Kysely's builders of several tables have no type in common
  const from = cursor === undefined ? rows : rows.where('id', '>', cursor)
  return pageFrom(await from.limit(limit + 1).execute(), limit, read)
}

function pageFrom<Row extends { id: string }, Item>(
  found: readonly Row[],
  limit: number,
  read: (row: Row) => Item,
): Page<Item> {
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  return { data: shown.map(read), ...(found.length > limit && last ? { next_cursor: last.id } : {}) }
}

function stored({ id, record, version, created_at, updated_at }: EntityRow): Stored<Entities[EntityName]> {
  const time = (at: number): string => new Date(at).toISOString()
  return {
    id,
    record: JSON.parse(record),
    version,
    created_at: time(created_at),
    updated_at: time(updated_at),
  }
}

async function find(rows: Rows, entity: EntityName, id: string): Promise<EntityRow> {
  const columns = ['id', 'record', 'version', 'created_at', 'updated_at'] as const
  const row = await rows.selectFrom(tables[entity]).select(columns).where('id', '=', id).executeTakeFirst()
  if (!row)
    throw new RouterError('not_found', `There is no ${recordNouns[entity]} '${id}'`, { code: 'not_found' })
  return row
}

async function findKey(rows: Rows, id: string) {
  const row = await rows.selectFrom('client_keys').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) throw new RouterError('not_found', `There is no key '${id}'`, { code: 'not_found' })
  return row
}

function ended(
  { expires_at, revoked_at }: { expires_at: number | null; revoked_at: number | null },
  now: number,
) {
  return revoked_at !== null || (expires_at !== null && expires_at <= now)
}

function check(entity: EntityName, record: object): void {
  const [first] = Value.Errors(recordSchemas[entity], record)
  if (!first) {
    const wrong = recordError(entity, record)
    if (wrong) throw badRequest(wrong.message, wrong.param, 'invalid_value')
    return
  }
  const member = first.path.slice(1).replaceAll('/', '.')
  const isUnknown = first.message === 'Unexpected property'
  throw badRequest(
    isUnknown
      ? `'${member}' is not a member of a ${recordNouns[entity]}`
      : `'${member}' is not ${allowedBy(first.schema)}`,
    member,
    'invalid_value',
  )
}

function referencesOf(entity: EntityName, record: Entities[EntityName]): object {
  if (entity === 'prices' || entity === 'budgets') return {}
  if (entity === 'clients') return { group_id: ('group' in record && record.group) || null }
  return { parent: ('parent' in record && record.parent) || null }
}

/** Groups have two levels: one that has a parent can be nobody's parent. */
async function checkReferences(
  rows: Rows,
  entity: EntityName,
  id: string,
  record: Entities[EntityName],
): Promise<void> {
  const isClient = entity === 'clients' || entity === 'budgets'
  const name = isClient
    ? ('group' in record && record.group) || undefined
    : ('parent' in record && record.parent) || undefined
  if (name === undefined) return
  const member = isClient ? 'group' : 'parent'
  const group = await rows
    .selectFrom('client_groups')
    .select(['id', 'parent'])
    .where('id', '=', name)
    .executeTakeFirst()
  if (!group) throw badRequest(`There is no group '${name}'`, member, 'no_such_group')
  if (isClient) return
  const below = await rows
    .selectFrom('client_groups')
    .select('id')
    .where('parent', '=', id)
    .executeTakeFirst()
  if (group.parent !== null || below || name === id)
    throw badRequest(
      'Groups have two levels: a group with a parent has no groups below it',
      member,
      'too_deep',
    )
}

async function checkEmpty(rows: Rows, id: string): Promise<void> {
  const client = await rows.selectFrom('clients').select('id').where('group_id', '=', id).executeTakeFirst()
  const group = await rows
    .selectFrom('client_groups')
    .select('id')
    .where('parent', '=', id)
    .executeTakeFirst()
  const member = client ? `the client '${client.id}'` : group ? `the group '${group.id}'` : undefined
  if (member !== undefined)
    throw conflict(`The group '${id}' is not empty: it has ${member}`, 'group_not_empty')
}

function checkVersion({ id, version }: EntityRow, wanted: number | undefined): void {
  if (wanted === undefined || wanted === version) return
  throw new RouterError('conflict', `'${id}' was changed meanwhile: read it again`, {
    code: 'version_mismatch',
    status: 412,
  })
}

function conflict(message: string, code: string): RouterError {
  return new RouterError('conflict', message, { code })
}

function newKeyRow(client: string, sha256: string, { now }: Context) {
  return {
    id: `key_${randomBytes(9).toString('hex')}`,
    client_id: client,
    sha256,
    prefix: '',
    description: '',
    created_at: now,
    expires_at: null,
    revoked_at: null,
    last_used_at: null,
  }
}

async function addKey(
  rows: Rows,
  client: string,
  {
    description = '',
    expires_at: expiry,
  }: { description?: string | undefined; expires_at?: string | null | undefined },
  context: Context,
) {
  const key = `sk-llmr-${randomBytes(30).toString('base64url')}`
  const row = {
    ...newKeyRow(client, createHash('sha256').update(key).digest('hex'), context),
    prefix: key.slice(0, 14),
    description,
    expires_at: expiry ? Date.parse(expiry) : null,
  }
  await rows.insertInto('client_keys').values(row).execute()
  await changed(rows, context, {
    action: 'create',
    entity: 'key',
    id: row.id,
    after: { client, prefix: row.prefix },
  })
  return { ...storedKey(row), key }
}

/** Id of what an earlier create with the same key made. */
async function createdBefore(
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

async function remember(
  rows: Rows,
  entity: EntityName | 'keys',
  id: string,
  idempotencyKey: string | undefined,
  { now }: Context,
): Promise<void> {
  if (idempotencyKey === undefined) return
  await rows.insertInto('created').values({ idempotency_key: idempotencyKey, entity, id, at: now }).execute()
}

interface Change {
  action: string
  entity: string
  id: string
  before?: object
  after?: object
}

/** One line in the audit log, and a new revision, which tells all routers to read again. */
async function changed(
  rows: Rows,
  { actor, now }: Context,
  { action, entity, id, before, after }: Change,
): Promise<void> {
  await rows
    .insertInto('audit')
    .values({
      id: auditId(now),
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
  await nextRevision(rows)
}

/** Sorts by time. */
function auditId(now: number): string {
  return `${now.toString(36).padStart(9, '0')}-${randomBytes(6).toString('hex')}`
}

async function nextRevision(rows: Rows): Promise<void> {
  await rows
    .updateTable('meta')
    .set({ value: sql<string>`cast(cast(value as bigint) + 1 as text)` })
    .where('key', '=', 'revision')
    .execute()
}
