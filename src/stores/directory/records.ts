import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { allowedBy } from '../../lib/json/allowed.ts'
import { badRequest, RouterError } from '../../sdk/errors.ts'
import {
  type Entities,
  type EntityName,
  recordError,
  recordNouns,
  recordSchemas,
  type Stored,
} from '../../sdk/teams/directory.ts'
import type { EntityRow } from '../database/tables.ts'
import type { Rows } from './changes.ts'
import type { ListInput, Page } from './commands.ts'

/** Names of the tables of records. */
export const tables = {
  clients: 'clients',
  groups: 'client_groups',
  prices: 'prices',
  budgets: 'budgets',
} as const

/** Converts a row to a record. */
export function toRecord({
  id,
  record,
  version,
  created_at,
  updated_at,
}: EntityRow): Stored<Entities[EntityName]> {
  const time = (at: number): string => new Date(at).toISOString()
  return {
    id,
    record: JSON.parse(record),
    version,
    created_at: time(created_at),
    updated_at: time(updated_at),
  }
}

/** Reads a row. Throws a RouterError (404) for an unknown id. */
export async function findRow(rows: Rows, entity: EntityName, id: string): Promise<EntityRow> {
  const columns = ['id', 'record', 'version', 'created_at', 'updated_at'] as const
  const row = await rows.selectFrom(tables[entity]).select(columns).where('id', '=', id).executeTakeFirst()
  if (!row)
    throw new RouterError('not_found', `Unknown ${recordNouns[entity]} '${id}'`, { code: 'not_found' })
  return row
}

/** Throws a RouterError (400) for an invalid record. */
export function checkRecord(entity: EntityName, record: object): void {
  checkFields(recordSchemas[entity], record, recordNouns[entity])
  const error = recordError(entity, record)
  if (error) throw badRequest(error.message, error.param, 'invalid_value')
}

/** Throws a RouterError (400) for a field that does not match the schema. */
export function checkFields(schema: TSchema, value: object, noun: string): void {
  const [first] = Value.Errors(schema, value)
  if (!first) return
  const field = first.path.slice(1).replaceAll('/', '.')
  const allowed = allowedBy(first.schema)
  const isUnknown = first.message === 'Unexpected property'
  const problem = first.value === undefined ? 'is missing; it must be' : 'is not'
  throw badRequest(
    isUnknown ? `'${field}' is not a field of a ${noun}` : `'${field}' ${problem} ${allowed}`,
    field,
    'invalid_value',
  )
}

/** Returns the columns for a record's references. */
export function referencesOf(entity: EntityName, record: Entities[EntityName]): object {
  if (entity === 'prices' || entity === 'budgets') return {}
  if (entity === 'clients') return { group_id: ('group' in record && record.group) || null }
  return { parent: ('parent' in record && record.parent) || null }
}

/** Throws a RouterError (400) for a reference to an unknown group, or to a group that cannot be a parent. */
export async function checkReferences(
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
  if (!group) throw badRequest(`Unknown group '${name}'`, member, 'no_such_group')
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

/** Throws a RouterError (409) for a group that is not empty. */
export async function checkEmpty(rows: Rows, id: string): Promise<void> {
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

/** Throws a RouterError (412) for a record that has changed since the operator read it. */
export function checkVersion({ id, version }: EntityRow, expected: number | undefined): void {
  if (expected === undefined || expected === version) return
  throw new RouterError('conflict', `'${id}' has been changed in the meantime: read it again`, {
    code: 'version_mismatch',
    status: 412,
  })
}

export function conflict(message: string, code: string): RouterError {
  return new RouterError('conflict', message, { code })
}

interface Pageable<Row> {
  where(column: 'id', operator: '>', value: string): Pageable<Row>
  limit(count: number): { execute(): Promise<Row[]> }
}

/** Runs a query that is ordered by id, and returns one page. */
export async function pageOf<Row extends { id: string }, Item>(
  query: unknown,
  { cursor, limit }: ListInput,
  read: (row: Row) => Item,
): Promise<Page<Item>> {
  const rows = query as Pageable<Row> // Kysely's builders for different tables have no common type
  const from = cursor === undefined ? rows : rows.where('id', '>', cursor)
  return pageFrom(await from.limit(limit + 1).execute(), limit, read)
}

/** Returns a page of `limit` rows. `found` has one more row if another page follows. */
export function pageFrom<Row extends { id: string }, Item>(
  found: readonly Row[],
  limit: number,
  read: (row: Row) => Item,
): Page<Item> {
  const rows = found.slice(0, limit)
  const last = rows.at(-1)
  return { data: rows.map(read), ...(found.length > limit && last ? { next_cursor: last.id } : {}) }
}
