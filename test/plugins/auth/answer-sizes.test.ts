import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerSizes } from '../../../src/plugins/auth/answer-sizes.ts'

test('an answer of which nothing is known is taken to have 1,024 tokens, a tenth of the limit at most', () => {
  const sizes = new AnswerSizes()
  assert.equal(sizes.expected('a', 'm', 100_000), 1_024)
  assert.equal(sizes.expected('a', 'm', 6_000), 600)
  assert.equal(sizes.expected('a', undefined, 6_000), 600)
  assert.equal(sizes.expected('a', 'm', 1), 1)
})

test('ten answers tell how long the next one hardly gets, of this client and model alone', () => {
  const sizes = new AnswerSizes()
  for (let index = 1; index <= 9; index++) sizes.add('a', 'm', index)
  assert.equal(sizes.expected('a', 'm', 6_000), 600, 'too few are known')
  sizes.add('a', 'm', 5_000)
  assert.equal(sizes.expected('a', 'm', 6_000), 9)
  assert.equal(sizes.expected('a', 'other', 6_000), 600)
  assert.equal(sizes.expected('b', 'm', 6_000), 600)
})

test('of few answers the longest counts where it is longer than what is taken for an unknown one', () => {
  const sizes = new AnswerSizes()
  sizes.add('a', 'm', 5_000)
  sizes.add('a', 'm', 10)
  assert.equal(sizes.expected('a', 'm', 6_000), 5_000)
})

test('only recent answers count, and the memory of them is bounded', () => {
  const sizes = new AnswerSizes()
  for (let index = 0; index < 64; index++) sizes.add('a', 'm', 5_000)
  for (let index = 0; index < 64; index++) sizes.add('a', 'm', 20)
  assert.equal(sizes.expected('a', 'm', 6_000), 20)
  for (let index = 0; index < 10_000; index++) sizes.add('a', `m${index}`, 20)
  assert.equal(sizes.expected('a', 'm', 6_000), 600)
})
