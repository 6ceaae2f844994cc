import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timeZone } from '../../src/lib/time-zone.ts'
import { resetOf, windowOf } from '../../src/stores/budgets/window.ts'

const at = (text: string): number => Date.parse(text)
const hourMs = 3_600_000

test('windows are those of the zone across both changes of the clocks', () => {
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

test('windows in Kathmandu begin at a quarter past an hour of UTC', () => {
  const zone = timeZone('Asia/Kathmandu')
  const { start, end } = windowOf({ window: 'day' }, at('2026-05-01T18:15:00Z'), zone)
  assert.deepEqual([start, end], [at('2026-05-01T18:15:00Z'), at('2026-05-02T18:15:00Z')])
})

test('a rolling window moves by quarters of an hour, and has room again when enough has left it', () => {
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
