import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unitVector, vectorFromBase64, vectorToBase64 } from '../../../src/dialects/shared/vectors.ts'

test('a vector is encoded as little-endian float32 in base64', () => {
  assert.equal(vectorToBase64([0.5, -1]), 'AAAAPwAAgL8=')
  assert.deepEqual(vectorFromBase64('AAAAPwAAgL8='), [0.5, -1])
})

test('a text that is not a list of float32 values yields no vector', () => {
  for (const text of ['AAA', 'AAAA', 'AAAA-_8=', '!!!!'])
    assert.equal(vectorFromBase64(text), undefined, text)
})

test('a normalized vector keeps its direction and has length 1, and the zero vector is unchanged', () => {
  assert.deepEqual(unitVector([3, 4]), [0.6, 0.8])
  assert.deepEqual(unitVector([0, 0]), [0, 0])
})
