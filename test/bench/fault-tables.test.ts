import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Results, worseCells } from '../../bench/faults/tables.ts'

const none = { good: 0, error: 0, silent: 0, hang: 0 }
const names = ['ours', 'theirs']

function worse(ours: object, theirs: object): number {
  const cells = new Map([
    ['ours', { ...none, ...ours }],
    ['theirs', { ...none, ...theirs }],
  ])
  const results: Results = { before: new Map([['fault', cells]]), after: new Map(), leaving: new Map() }
  return worseCells(results, names).length
}

test('fewer correct responses than another proxy rank worse, whatever the other outcomes', () => {
  assert.equal(worse({ good: 19, error: 1 }, { good: 20 }), 1)
  assert.equal(worse({ good: 20 }, { good: 19, error: 1 }), 0)
  assert.equal(worse({ good: 20 }, { good: 20 }), 0)
})

test('a silently truncated response, or none, ranks worse than an error', () => {
  assert.equal(worse({ silent: 1, error: 19 }, { error: 20 }), 1)
  assert.equal(worse({ hang: 1, error: 19 }, { error: 20 }), 1)
  assert.equal(worse({ error: 20 }, { silent: 20 }), 0)
})

test('requests that continue after their client disconnected rank worse', () => {
  const times = new Map([
    ['ours', [3, 101]],
    ['theirs', [3, 100]],
  ])
  const results: Results = { before: new Map(), after: new Map(), leaving: new Map([['fault', times]]) }
  assert.deepEqual(worseCells(results, names), ['fault: 1 (longest 101 ms); theirs: 2'])
})
