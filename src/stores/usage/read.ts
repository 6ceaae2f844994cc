import type { Transaction } from 'kysely'
import { withoutFloatNoise } from '../../lib/numbers.ts'
import { type TimeZone, timeZone } from '../../lib/time-zone.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { UsageBucket, UsageDimension, UsageLine, UsageQuestion } from '../../sdk/teams/usage.ts'
import type { Tables, UsageRow } from '../database/tables.ts'
import { quarterMs, usageCounts } from './sums.ts'

/** Maximum number of aggregated rows in a result. */
const maxRows = 100_000

type Counts = Pick<UsageRow, (typeof usageCounts)[number]>
type Row = Counts & Partial<Pick<UsageRow, 'period' | 'client' | 'client_key' | 'model' | 'target'>>

const columnOf = {
  client: 'client',
  group: 'client',
  key: 'client_key',
  model: 'model',
  target: 'target',
} as const satisfies Record<UsageDimension, keyof UsageRow>

/**
 * Returns aggregated usage. Daily usage belongs to the period that contains the start of the day. Throws RouterError if the
 * result is too large.
 */
export async function readUsage(rows: Transaction<Tables>, question: UsageQuestion): Promise<UsageLine[]> {
  const { by, bucket, group } = question
  const groupOf = by.includes('group') || group !== undefined ? await clientGroups(rows) : new Map()
  const clients =
    group === undefined
      ? undefined
      : [...groupOf].flatMap(([id, ofClient]) => (ofClient === group ? [id] : []))
  const columns = [...new Set(by.map((dimension) => columnOf[dimension]))]
  const selected = bucket === undefined ? columns : (['period', ...columns] as const)
  const startOf = bucket === undefined ? () => 0 : periodOf(bucket, timeZone(question.timeZone))
  const lines = new Map<string, Row & { group: string; start: number }>()
  for (const table of ['usage_days', 'usage_quarters'] as const) {
    for (const row of await select(rows, table, selected, question, clients)) {
      const start = startOf(row.period ?? 0)
      const rowGroup = groupOf.get(row.client ?? '') ?? ''
      const dimensions = by.map((dimension) => (dimension === 'group' ? rowGroup : row[columnOf[dimension]]))
      const key = JSON.stringify([start, ...dimensions])
      const line = lines.get(key)
      if (!line) lines.set(key, { ...row, group: rowGroup, start })
      else for (const count of usageCounts) line[count] += row[count]
    }
  }
  const zone = timeZone(question.timeZone)
  return [...lines]
    .toSorted(([a, { start: first }], [b, { start: second }]) => first - second || (a < b ? -1 : 1))
    .map(([, { start, group: lineGroup, busy_ms, ...row }]) => ({
      ...(bucket === undefined ? {} : { period: zone.text(start) }),
      ...Object.fromEntries(
        by.map((dimension) => [dimension, dimension === 'group' ? lineGroup : row[columnOf[dimension]]]),
      ),
      ...countsOf(row),
      busy_seconds: withoutFloatNoise(busy_ms / 1000),
      cost: withoutFloatNoise(row.cost),
    }))
}

function countsOf(row: Omit<Counts, 'busy_ms'>) {
  const { requests, errors, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens } = row
  return { requests, errors, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens }
}

async function select(
  rows: Transaction<Tables>,
  table: 'usage_days' | 'usage_quarters',
  columns: readonly (keyof UsageRow)[],
  { from, to, client, model }: UsageQuestion,
  clients: readonly string[] | undefined,
): Promise<Row[]> {
  let query = rows
    .selectFrom(table)
    .select((build) => usageCounts.map((count) => build.fn.sum<number>(count).as(count)))
    .select([...columns])
    .where('period', '>=', from)
    .where('period', '<', to)
  if (columns.length > 0) query = query.groupBy([...columns])
  if (client !== undefined) query = query.where('client', '=', client)
  if (clients) query = query.where('client', 'in', [...clients, ''])
  if (model !== undefined) query = query.where('model', '=', model)
  const found = await query.limit(maxRows + 1).execute()
  if (found.length > maxRows)
    throw new RouterError('bad_request', 'The result is too large: ask for a shorter period or less detail', {
      code: 'too_many_rows',
    })
  // A sum over no rows is one row of nulls.
  return (found as Row[]).filter(({ requests }) => requests !== null)
}

async function clientGroups(rows: Transaction<Tables>): Promise<Map<string, string>> {
  const found = await rows.selectFrom('clients').select(['id', 'group_id']).execute()
  return new Map(found.map(({ id, group_id }) => [id, group_id ?? '']))
}

/** Returns a function that maps a quarter of an hour to the start of its bucket. */
function periodOf(bucket: UsageBucket, zone: TimeZone): (at: number) => number {
  const cache = new Map<number, number>()
  const start = {
    quarter: (at: number) => at,
    hour: (at: number) => hourOf(at, zone),
    day: zone.startOfDay,
    week: zone.startOfWeek,
    month: zone.startOfMonth,
  }[bucket]
  return (at) => {
    const bucketStart = cache.get(at) ?? start(at)
    cache.set(at, bucketStart)
    return bucketStart
  }
}

/** Start of the local hour, in time zones whose offset is not a whole hour too. */
function hourOf(at: number, zone: TimeZone): number {
  const minute = Number(/T\d\d:(\d\d)/.exec(zone.text(at))?.[1] ?? 0)
  return Math.floor(at / quarterMs) * quarterMs - Math.floor(minute / 15) * quarterMs
}
