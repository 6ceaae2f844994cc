import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { timeZone } from '../../src/lib/time-zone.ts'
import type { BudgetRecord } from '../../src/sdk/teams/directory.ts'
import { renewSlices } from '../../src/stores/budgets/slices.ts'
import { resetOf, windowOf } from '../../src/stores/budgets/window.ts'
import { openMemoryDatabase } from './memory-database.ts'

const at = (text: string): number => Date.parse(text)
const hourMs = 3_600_000

test('budget windows follow the time zone across both clock changes', () => {
  const warsaw = timeZone('Europe/Warsaw')
  const lengths = (window: 'day' | 'week' | 'month', now: string) => {
    const { start, end } = windowOf({ window }, at(now), warsaw)
    return [new Date(start).toISOString(), (end - start) / hourMs]
  }
  assert.deepEqual(lengths('day', '2026-03-29T12:00:00Z'), ['2026-03-28T23:00:00.000Z', 23])
  assert.deepEqual(lengths('day', '2026-10-25T12:00:00Z'), ['2026-10-24T22:00:00.000Z', 25])
  assert.deepEqual(lengths('week', '2026-03-25T12:00:00Z'), ['2026-03-22T23:00:00.000Z', 167])
  assert.deepEqual(lengths('week', '2026-10-25T22:59:59Z'), ['2026-10-18T22:00:00.000Z', 169])
  assert.deepEqual(lengths('month', '2026-03-31T21:59:59Z'), ['2026-02-28T23:00:00.000Z', 743])
  assert.deepEqual(lengths('month', '2026-10-01T00:00:00Z'), ['2026-09-30T22:00:00.000Z', 745])
})

test('budget windows in Kathmandu begin at a quarter past a UTC hour', () => {
  const zone = timeZone('Asia/Kathmandu')
  const { start, end } = windowOf({ window: 'day' }, at('2026-05-01T18:15:00Z'), zone)
  assert.deepEqual([start, end], [at('2026-05-01T18:15:00Z'), at('2026-05-02T18:15:00Z')])
})

test('a rolling window moves in steps of a quarter of an hour, and admits requests again when enough has expired', () => {
  const zone = timeZone('UTC')
  const record = { window: 'rolling', hours: 1, limit: 10 } as const
  const window = windowOf(record, at('2026-05-01T12:07:00Z'), zone)
  assert.deepEqual(window, { start: at('2026-05-01T11:15:00Z'), end: at('2026-05-01T12:15:00Z') })
  const quarters = [
    { period: at('2026-05-01T11:15:00Z'), amount: 1 },
    { period: at('2026-05-01T11:45:00Z'), amount: 6 },
    { period: at('2026-05-01T12:00:00Z'), amount: 5 },
  ]
  // Of 12, the first quarter leaves 11, and the second one 5.
  const reset = resetOf(record, window, quarters)
  assert.equal(new Date(reset).toISOString(), '2026-05-01T12:45:00.000Z')
  const then = windowOf(record, reset, zone)
  assert.ok(then.start > at('2026-05-01T11:45:00Z'))
  assert.ok(windowOf(record, reset - 1, zone).start <= at('2026-05-01T11:45:00Z'))
})

/** A database, and how much of a budget there a holder gets at a time. */
async function ledgerOf(t: TestContext, record: BudgetRecord, zone = 'UTC') {
  const db = await openMemoryDatabase(t)
  return {
    spend: (period: string, amount: number) =>
      db
        .insertInto('budget_spent')
        .values({ budget: 'one', period: at(period), amount })
        .execute(),
    async renew(now: number, { holder = 'router', desired = 0, retained = 0 } = {}) {
      const context = { budgets: [{ id: 'one', record }], zone: timeZone(zone), now }
      const requests = [{ id: 'one', reserved: 0, min: 1, desired, retained }]
      const [state] = await renewSlices(db, { holder, budgets: requests }, context)
      assert.ok(state)
      return { ...state, resetsAt: new Date(state.resetsAt).toISOString() }
    },
  }
}

for (const [zone, window, before, within, now, resetsAt] of [
  // The night of 23 hours, and that of 25, in which an hour occurs twice.
  [
    'Europe/Warsaw',
    'day',
    '2026-03-28T22:45:00Z',
    '2026-03-28T23:00:00Z',
    '2026-03-29T21:59:59Z',
    '2026-03-29T22:00:00.000Z',
  ],
  [
    'Europe/Warsaw',
    'day',
    '2026-10-24T21:45:00Z',
    '2026-10-25T00:30:00Z',
    '2026-10-25T22:59:59Z',
    '2026-10-25T23:00:00.000Z',
  ],
  [
    'Europe/Warsaw',
    'week',
    '2026-03-22T22:45:00Z',
    '2026-03-22T23:00:00Z',
    '2026-03-29T20:00:00Z',
    '2026-03-29T22:00:00.000Z',
  ],
  [
    'Europe/Warsaw',
    'month',
    '2026-09-30T21:45:00Z',
    '2026-09-30T22:00:00Z',
    '2026-10-31T22:00:00Z',
    '2026-10-31T23:00:00.000Z',
  ],
  [
    'America/New_York',
    'day',
    '2026-11-01T03:45:00Z',
    '2026-11-01T04:00:00Z',
    '2026-11-02T04:59:59Z',
    '2026-11-02T05:00:00.000Z',
  ],
  [
    'Asia/Kathmandu',
    'day',
    '2026-05-01T18:00:00Z',
    '2026-05-01T18:15:00Z',
    '2026-05-02T18:14:59Z',
    '2026-05-02T18:15:00.000Z',
  ],
  [
    'Asia/Kathmandu',
    'week',
    '2026-05-03T18:00:00Z',
    '2026-05-03T18:15:00Z',
    '2026-05-10T18:14:59Z',
    '2026-05-10T18:15:00.000Z',
  ],
  [
    'Asia/Kathmandu',
    'month',
    '2026-04-30T18:00:00Z',
    '2026-04-30T18:15:00Z',
    '2026-05-31T18:14:59Z',
    '2026-05-31T18:15:00.000Z',
  ],
] as const)
  test(`a budget of a ${window} counts what was used in it in ${zone}, until ${resetsAt}`, async (t) => {
    const record = { client: 'alice', unit: 'tokens', limit: 10, window } as const
    const { spend, renew } = await ledgerOf(t, record, zone)
    await spend(before, 5)
    await spend(within, 10)
    const used = await renew(at(now))
    assert.deepEqual([used.spent, used.granted, used.resetsAt], [10, 0, resetsAt])
    const fresh = await renew(at(resetsAt))
    assert.deepEqual([fresh.spent, fresh.granted > 0], [0, true])
  })

test('the slice of a dead process returns after 30 s, and that of a running one stays', async (t) => {
  const record = { client: 'alice', unit: 'tokens', limit: 100, window: 'month' } as const
  const { renew } = await ledgerOf(t, record)
  const now = at('2026-05-01T12:00:00Z')
  assert.equal((await renew(now, { holder: 'dead', desired: 60 })).granted, 60)
  // The other one keeps running, and renews every second.
  const most: number[] = []
  for (let second = 1; second <= 30; second++)
    most.push((await renew(now + second * 1_000, { holder: 'living', desired: 100 })).granted)
  assert.deepEqual([...new Set(most.slice(0, 29))], [40])
  assert.equal(most.at(-1), 100)
})

test('the slice of a dead process returns after 30 s, even if the clock is set back by a day', async (t) => {
  const record = { client: 'alice', unit: 'tokens', limit: 100, window: 'month' } as const
  const { renew } = await ledgerOf(t, record)
  const now = at('2026-05-10T12:00:00Z')
  await renew(now, { holder: 'dead', desired: 60 })
  const back = now - 24 * hourMs
  const granted: number[] = []
  for (let second = 1; second <= 31; second++)
    granted.push((await renew(back + second * 1_000, { holder: 'living', desired: 100 })).granted)
  assert.deepEqual([...new Set(granted)], [40, 100])
})

test('an outage in which no process can renew takes the slice of no running process', async (t) => {
  const record = { client: 'alice', unit: 'tokens', limit: 100, window: 'month' } as const
  const { renew } = await ledgerOf(t, record)
  const now = at('2026-05-01T12:00:00Z')
  await renew(now, { holder: 'one', desired: 60 })
  assert.equal((await renew(now + 60_000, { holder: 'two', desired: 100 })).granted, 40)
})

test('a process keeps what it may spend until the renewal is answered, even if its share is now smaller', async (t) => {
  const { renew } = await ledgerOf(t, { group: 'team', unit: 'requests', limit: 100, window: 'day' })
  const now = at('2026-05-01T12:00:00Z')
  assert.equal((await renew(now, { holder: 'one', desired: 80 })).granted, 80)
  assert.equal((await renew(now, { holder: 'one', desired: 1, retained: 70 })).granted, 70)
  assert.equal((await renew(now, { holder: 'two', desired: 100 })).granted, 30)
})

test('what another process has booked from its slice does not reduce what a process keeps', async (t) => {
  const { spend, renew } = await ledgerOf(t, { group: 'team', unit: 'requests', limit: 100, window: 'day' })
  const now = at('2026-05-01T12:00:00Z')
  assert.equal((await renew(now, { holder: 'one', desired: 60 })).granted, 60)
  assert.equal((await renew(now, { holder: 'two', desired: 40 })).granted, 40)
  await spend('2026-05-01T12:00:00Z', 40)
  assert.equal((await renew(now, { holder: 'one', desired: 60, retained: 60 })).granted, 60)
  assert.equal((await renew(now, { holder: 'two', desired: 40 })).granted, 0)
})
