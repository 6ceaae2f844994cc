import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rareWarning } from '../../../src/plugins/tracing/index.ts'

test('a warning is logged once a minute, with the number of times it was suppressed', () => {
  let now = 0
  const logged: [Record<string, unknown>, string][] = []
  const warn = rareWarning(
    (facts, text) => logged.push([facts, text]),
    () => now,
  )
  for (now of [0, 1_000, 59_999, 60_000]) warn('lost', { spans: now })
  warn('other', {})
  now = 130_000
  warn('lost', { spans: 1 })
  assert.deepEqual(logged, [
    [{ spans: 0 }, 'lost'],
    [{ spans: 60_000, repeated: 2 }, 'lost'],
    [{}, 'other'],
    [{ spans: 1 }, 'lost'],
  ])
})
