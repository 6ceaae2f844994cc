import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mapConcurrently } from '../../src/relay/run/embedding.ts'

const { signal } = new AbortController()

test('results are in the order of the items, whichever is ready first', async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const all = mapConcurrently([0, 1], { concurrency: 2, signal }, async (item) => {
    await gates[item]?.promise
    gates[0]?.resolve()
    return item * 10
  })
  gates[1]?.resolve()
  assert.deepEqual(await all, [0, 10])
})

test('at most the allowed number of items run at the same time', async () => {
  let running = 0
  let most = 0
  await mapConcurrently([1, 2, 3, 4, 5], { concurrency: 2, signal }, async () => {
    most = Math.max(most, ++running)
    await new Promise(setImmediate)
    running--
  })
  assert.equal(most, 2)
})

test('the first failure cancels the others, starts no more, and is thrown when all have ended', async () => {
  const started: number[] = []
  let cancelled = false
  const failure = new Error('second')
  await assert.rejects(
    mapConcurrently([1, 2, 3], { concurrency: 2, signal }, async (item, stop) => {
      started.push(item)
      if (item === 2) throw failure
      await new Promise((resolve) => stop.addEventListener('abort', resolve))
      cancelled = true
    }),
    failure,
  )
  assert.deepEqual([started, cancelled], [[1, 2], true])
})
