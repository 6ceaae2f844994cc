import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryResponses, type ResponseBounds } from '../../src/stores/responses/memory.ts'
import type { StoredResponse } from '../../src/stores/responses/store.ts'

function stored(text = 'Hi'): StoredResponse {
  return { response: { id: 'r', output: [] }, input: [{ role: 'user', content: text }] }
}

function store({ now = () => 0, ...bounds }: Partial<ResponseBounds> & { now?: () => number } = {}) {
  return memoryResponses({ maxCount: 10, maxBytes: 10_000, ttlMs: 1_000, ...bounds }, now)
}

describe('responses stored in memory', () => {
  it('are found as they were stored, and are copies', async () => {
    const answers = store()
    const kept = stored()
    await answers.put('a', kept)
    kept.response.id = 'changed'
    const found = await answers.find('a')
    assert.deepEqual(found, stored())
    if (found) found.response.id = 'changed'
    assert.deepEqual(await answers.find('a'), stored())
    assert.equal(await answers.find('b'), undefined)
  })

  it('are not found when removed a second time', async () => {
    const answers = store()
    await answers.put('a', stored())
    assert.equal(await answers.remove('a'), true)
    assert.equal(await answers.remove('a'), false)
    assert.equal(await answers.find('a'), undefined)
  })

  it('expire, however often they were used', async () => {
    let now = 0
    const answers = store({ now: () => now })
    await answers.put('a', stored())
    await answers.put('b', stored())
    now = 999
    assert.ok(await answers.find('a'))
    now = 1_000
    assert.equal(await answers.find('a'), undefined)
    assert.equal(await answers.remove('b'), false)
  })

  it('are evicted by count, the least recently used first', async () => {
    const answers = store({ maxCount: 2 })
    await answers.put('a', stored())
    await answers.put('b', stored())
    await answers.find('a')
    await answers.put('c', stored())
    assert.equal(await answers.find('b'), undefined)
    assert.ok((await answers.find('a')) && (await answers.find('c')))
  })

  it('are evicted by size, counted in UTF-8 bytes', async () => {
    const size = Buffer.byteLength(JSON.stringify(stored('é'.repeat(100))))
    const answers = store({ maxBytes: 2 * size })
    for (const id of ['a', 'b', 'c']) await answers.put(id, stored('é'.repeat(100)))
    assert.equal(await answers.find('a'), undefined)
    assert.ok((await answers.find('b')) && (await answers.find('c')))
  })

  it('free their bytes when they are replaced, removed or expired', async () => {
    let now = 0
    const size = Buffer.byteLength(JSON.stringify(stored()))
    const answers = store({ maxBytes: 2 * size, now: () => now })
    for (let count = 0; count < 5; count++) await answers.put('a', stored())
    await answers.put('b', stored())
    assert.ok(await answers.find('a'))
    await answers.remove('b')
    await answers.put('c', stored())
    assert.ok(await answers.find('a'))
    now = 1_000
    await answers.put('d', stored())
    await answers.put('e', stored())
    assert.ok((await answers.find('d')) && (await answers.find('e')))
  })

  it('are not stored if one is too large by itself', async () => {
    const answers = store({ maxBytes: 100 })
    await answers.put('a', stored('x'.repeat(200)))
    assert.equal(await answers.find('a'), undefined)
  })
})
