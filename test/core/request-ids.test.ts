import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { requestIds } from '../../src/app.ts'

// RFC 9562, sections 4.1 and 5.8.
const uuidOfVersion8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('ids are UUIDs of version 8, each another one', () => {
  const newId = requestIds(randomBytes)
  const ids = Array.from({ length: 10_000 }, () => newId())
  for (const id of ids) assert.match(id, uuidOfVersion8)
  assert.equal(new Set(ids).size, ids.length)
})

test('the ids of two processes have nothing but their form in common', () => {
  const [one, other] = [requestIds(randomBytes), requestIds(randomBytes)]
  assert.notEqual(one().slice(0, 23), other().slice(0, 23))
})

test('every random number gives a valid variant', () => {
  for (let digit = 0; digit < 16; digit++) {
    const same = Buffer.from(digit.toString(16).repeat(20), 'hex')
    assert.match(requestIds(() => same)(), uuidOfVersion8)
  }
})
