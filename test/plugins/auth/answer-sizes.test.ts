import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerSizes } from '../../../src/plugins/auth/answer-sizes.ts'

test('a response of unknown size is estimated at 1,024 tokens, but at no more than a tenth of the limit', () => {
  const sizes = new AnswerSizes()
  assert.equal(sizes.expected('a', 'm', 100_000), 1_024)
  assert.equal(sizes.expected('a', 'm', 6_000), 600)
  assert.equal(sizes.expected('a', undefined, 6_000), 600)
  assert.equal(sizes.expected('a', 'm', 1), 1)
})

test('the estimate is a high percentile of at least ten responses of the same client and model', () => {
  const sizes = new AnswerSizes()
  for (let index = 1; index <= 9; index++) sizes.add('a', 'm', index)
  assert.equal(sizes.expected('a', 'm', 6_000), 600, 'too few are known')
  sizes.add('a', 'm', 5_000)
  assert.equal(sizes.expected('a', 'm', 6_000), 9)
  assert.equal(sizes.expected('a', 'other', 6_000), 600)
  assert.equal(sizes.expected('b', 'm', 6_000), 600)
})

test('with fewer than ten responses the estimate is the longest, if it exceeds the default', () => {
  const sizes = new AnswerSizes()
  sizes.add('a', 'm', 5_000)
  sizes.add('a', 'm', 10)
  assert.equal(sizes.expected('a', 'm', 6_000), 5_000)
})

test('only recent responses count, and the memory for them is bounded', () => {
  const sizes = new AnswerSizes()
  for (let index = 0; index < 64; index++) sizes.add('a', 'm', 5_000)
  for (let index = 0; index < 64; index++) sizes.add('a', 'm', 20)
  assert.equal(sizes.expected('a', 'm', 6_000), 20)
  for (let index = 0; index < 10_000; index++) sizes.add('a', `m${index}`, 20)
  assert.equal(sizes.expected('a', 'm', 6_000), 600)
})
