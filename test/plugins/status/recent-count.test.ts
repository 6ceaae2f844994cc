import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecentCount } from '../../../src/plugins/status/recent-count.ts'

test('events older than a minute are not counted', () => {
  let now = 5_500
  const count = new RecentCount(() => now)
  count.add()
  count.add()
  now = 30_000
  count.add()
  assert.equal(count.total, 3)
  now = 64_999
  assert.equal(count.total, 3)
  now = 65_000
  assert.equal(count.total, 1)
  now = 90_000
  assert.equal(count.total, 0)
})

test('after a long silence earlier events are not counted', () => {
  let now = 0
  const count = new RecentCount(() => now)
  for (; now < 60_000; now += 1_000) count.add()
  now = 10_000_000
  count.add()
  assert.equal(count.total, 1)
})
