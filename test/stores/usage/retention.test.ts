import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readUsage } from '../../../src/stores/usage/read.ts'
import { applyRetention } from '../../../src/stores/usage/retention.ts'
import { writeBatch } from '../../../src/stores/usage/write.ts'
import { openMemoryDatabase } from '../memory-database.ts'
import { usageRow } from '../usage-row.ts'

test('usage by quarter hour is merged into local days, the oldest days are deleted, and totals stay', async (t) => {
  const db = await openMemoryDatabase(t)
  const alsoWrite = async (): Promise<void> => undefined
  // Both sides of a midnight in Warsaw, which is 23:00 UTC, and of the retention limit.
  const periods = [
    '2026-01-10T22:45:00Z',
    '2026-01-10T23:00:00Z',
    '2026-01-11T12:00:00Z',
    '2026-03-30T12:00:00Z',
  ]
  const part = { rows: periods.map((period) => usageRow({ period: Date.parse(period) })), lastUsed: {} }
  await writeBatch(
    db,
    { id: 'one', part },
    { now: 1, previous: undefined, alsoWrite, onRejected: assert.fail },
  )
  await writeBatch(
    db,
    { id: 'one', part },
    { now: 2, previous: undefined, alsoWrite, onRejected: assert.fail },
  )
  const timeZone = 'Europe/Warsaw'
  const read = (from: string) =>
    db.transaction().execute((rows) =>
      readUsage(rows, {
        from: Date.parse(from),
        to: Date.parse('2027-01-01T00:00:00Z'),
        by: ['client'] as const,
        bucket: 'day' as const,
        timeZone,
      }),
    )
  const before = await read('2026-01-01T00:00:00Z')
  const now = Date.parse('2026-04-01T00:00:00Z')
  await applyRetention(db, { timeZone, quarterDays: 62, days: 1_000 }, now)
  const days = await db.selectFrom('usage_days').select(['period', 'requests']).orderBy('period').execute()
  assert.deepEqual(days, [
    { period: Date.parse('2026-01-09T23:00:00Z'), requests: 1 },
    { period: Date.parse('2026-01-10T23:00:00Z'), requests: 2 },
  ])
  assert.deepEqual(await read('2026-01-01T00:00:00Z'), before)
  assert.deepEqual(
    before.map(({ period, requests }) => [period, requests]),
    [
      ['2026-01-10T00:00:00+01:00', 1],
      ['2026-01-11T00:00:00+01:00', 2],
      ['2026-03-30T00:00:00+02:00', 1],
    ],
  )
  await applyRetention(db, { timeZone, quarterDays: 62, days: 80 }, now)
  assert.deepEqual(
    (await read('2026-01-01T00:00:00Z')).map(({ requests }) => requests),
    [2, 1],
  )
})
