import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetryBudget } from '../../src/plugins/balancer/retry-budget.ts'

test('three retries at a time are always allowed, beyond that a fifth of the active requests', () => {
  const budget = new RetryBudget(() => 0)
  const quiet = [budget.retry(), budget.retry(), budget.retry()]
  assert.ok(quiet.every(Boolean))
  assert.equal(budget.retry(), undefined)
  for (const done of quiet) done?.()
  const ends = Array.from({ length: 50 }, () => budget.begin())
  const granted = Array.from({ length: 20 }, () => budget.retry()).filter(Boolean)
  assert.equal(granted.length, 10)
  for (const end of ends) end()
})

test('of many requests at most a tenth is retried within ten seconds', () => {
  let now = 0
  const budget = new RetryBudget(() => now)
  let retries = 0
  for (let index = 0; index < 1_000; index++) {
    const end = budget.begin()
    const done = budget.retry()
    if (done) retries++
    done?.()
    end()
    now += 5
  }
  // The first 99 requests are too few to decide; from then on the limit of a tenth applies.
  assert.equal(retries, 100)
  now += 11_000
  const done = budget.retry()
  assert.ok(done, 'old retries are not counted')
})
