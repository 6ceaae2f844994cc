import { badRequest, RouterError } from '../../sdk/errors.ts'
import type { BudgetStatus } from '../../sdk/teams/budget-status.ts'
import {
  type BudgetRecord,
  type Entities,
  type EntityName,
  recordNouns,
  type Stored,
} from '../../sdk/teams/directory.ts'
import { deleteBudgetState, recalculateBudget } from '../budgets/spent.ts'
import { budgetStatus } from '../budgets/status.ts'
import type { Database, EntityRow } from '../database/tables.ts'
import { readUsage } from '../usage/read.ts'
import {
  type CommandHandlers,
  findCreated,
  idempotencyKeyReused,
  lockRevision,
  nextRevision,
  recordChange,
  rememberCreated,
} from './changes.ts'
import type { Command, CommandName, CommandResult } from './commands.ts'
import { keyCommands } from './key-commands.ts'
import {
  checkEmpty,
  checkRecord,
  checkReferences,
  checkVersion,
  conflict,
  findRow,
  pageFrom,
  pageOf,
  referencesOf,
  tables,
  toRecord,
} from './records.ts'

/** Prefix of the keys in the table meta for sessions that were ended before they expired. */
export const endedPrefix = 'session:'

/** Commands that change nothing. */
const readCommands: ReadonlySet<CommandName> = new Set([
  'list',
  'get',
  'keys',
  'budgetStatuses',
  'usage',
  'audit',
])

/**
 * Runs a command in one transaction, together with its entry in the audit log and the new revision. Changes are serialized.
 * Errors of the operator are returned, not thrown.
 *
 * @param clock Returns milliseconds since 1970.
 */
export async function execute<Name extends CommandName>(
  db: Database,
  { name, input, actor }: Command<Name>,
  clock: () => number,
): Promise<CommandResult<Name>> {
  const handler: CommandHandlers[Name] = handlers[name]
  const isRead = readCommands.has(name)
  const transaction = () =>
    (isRead ? db.transaction().setAccessMode('read only') : db.transaction()).execute(async (rows) => {
      if (!isRead) await lockRevision(rows)
      return handler(rows, input, { actor, now: clock() })
    })
  try {
    return { ok: await withRetries(transaction) }
  } catch (thrown) {
    const error = isInvalidValue(thrown) ? notStorable() : thrown
    if (!(error instanceof RouterError)) throw error
    const { kind, message, code = 'invalid', param, status } = error
    return { error: { kind, status, message, code, ...(param === undefined ? {} : { param }) } }
  }
}

/** PostgreSQL's class of data exceptions, such as the character NUL in a text. */
function isInvalidValue(error: unknown): boolean {
  return /^22[0-9A-Z]{3}$/.test(String(Object(error).code))
}

function notStorable(): RouterError {
  return badRequest('The request has a value that the database cannot store', undefined, 'invalid_value')
}

/**
 * Errors of PostgreSQL after which the same transaction may succeed: deadlock_detected, because usage of the same keys and
 * budgets is written in the background, and read_only_sql_transaction, because another connection may not be read-only.
 */
const transientErrors: ReadonlySet<unknown> = new Set(['40P01', '25006'])
/** More than there are connections. */
const maxAttempts = 5

async function withRetries<Result>(run: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (!transientErrors.has(Object(error).code) || attempt === maxAttempts) throw error
    }
  }
}

const handlers: CommandHandlers = {
  ...keyCommands,

  async list(rows, { entity, of, ...page }) {
    const columns = ['id', 'record', 'version', 'created_at', 'updated_at'] as const
    if (of !== undefined && entity === 'clients') {
      const query = rows.selectFrom('clients').select(columns).where('group_id', '=', of).orderBy('id')
      return pageOf<EntityRow, Stored<Entities[EntityName]>>(query, page, toRecord)
    }
    const query = rows.selectFrom(tables[entity]).select(columns).orderBy('id')
    return pageOf<EntityRow, Stored<Entities[EntityName]>>(query, page, toRecord)
  },

  async get(rows, { entity, id }) {
    return toRecord(await findRow(rows, entity, id))
  },

  async create(rows, { entity, id, record, idempotencyKey }, context) {
    const before = await findCreated(rows, entity, idempotencyKey, context)
    if (before !== undefined && before !== id) throw idempotencyKeyReused()
    if (before !== undefined) return { stored: toRecord(await findRow(rows, entity, before)), isNew: false }
    checkRecord(entity, record)
    await checkReferences(rows, entity, id, record)
    if (entity === 'budgets') await recalculateBudget(rows, id, record as BudgetRecord, context.now)
    const existing = await rows
      .selectFrom(tables[entity])
      .select('id')
      .where('id', '=', id)
      .executeTakeFirst()
    if (existing) throw conflict(`The ${recordNouns[entity]} '${id}' already exists`, 'already_exists')
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
    await rememberCreated(rows, entity, id, idempotencyKey, context)
    await recordChange(rows, context, { action: 'create', entity: recordNouns[entity], id, after: record })
    return { stored: toRecord(row), isNew: true }
  },

  async change(rows, { entity, id, changes, version }, context) {
    const row = await findRow(rows, entity, id)
    checkVersion(row, version)
    const before: object = JSON.parse(row.record)
    const record: Entities[EntityName] = { ...before, ...changes }
    checkRecord(entity, record)
    await checkReferences(rows, entity, id, record)
    if (entity === 'budgets') await recalculateBudget(rows, id, record as BudgetRecord, context.now)
    const next = { ...row, record: JSON.stringify(record), version: row.version + 1, updated_at: context.now }
    await rows
      .updateTable(tables[entity])
      .set({
        record: next.record,
        version: next.version,
        updated_at: context.now,
        ...referencesOf(entity, record),
      })
      .where('id', '=', id)
      .execute()
    await recordChange(rows, context, {
      action: 'change',
      entity: recordNouns[entity],
      id,
      before,
      after: record,
    })
    return toRecord(next)
  },

  async remove(rows, { entity, id, version }, context) {
    const row = await findRow(rows, entity, id)
    checkVersion(row, version)
    if (entity === 'groups') await checkEmpty(rows, id)
    if (entity === 'budgets') await deleteBudgetState(rows, id)
    await rows.deleteFrom(tables[entity]).where('id', '=', id).execute()
    await recordChange(rows, context, {
      action: 'remove',
      entity: recordNouns[entity],
      id,
      before: JSON.parse(row.record),
    })
    return null
  },

  async createUnlessExists(rows, { entity, id, record }, context) {
    const existing = await rows
      .selectFrom(tables[entity])
      .select('id')
      .where('id', '=', id)
      .executeTakeFirst()
    if (!existing) await handlers.create(rows, { entity, id, record }, context)
    return !existing
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
    await recordChange(rows, context, { action: 'reload', entity: 'file', id: setting, before, after })
    return null
  },

  async budgetStatuses(rows, { ids, zone }, { now }) {
    if (ids.length === 0) return {}
    const found = await rows.selectFrom('budgets').select(['id', 'record']).where('id', 'in', ids).execute()
    const budgetStatuses: Record<string, BudgetStatus> = {}
    for (const { id, record } of found)
      budgetStatuses[id] = await budgetStatus(rows, { id, record: JSON.parse(record), zone }, now)
    return budgetStatuses
  },

  usage: (rows, question) => readUsage(rows, question),

  async audit(rows, { cursor, limit }) {
    let query = rows.selectFrom('audit').selectAll().orderBy('id', 'desc')
    if (cursor !== undefined) query = query.where('id', '<', cursor)
    const found = await query.limit(limit + 1).execute()
    return pageFrom(found, limit, (row) => ({ ...row, at: new Date(row.at).toISOString() }))
  },
}
