import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from '@sinclair/typebox'
import { laxBody } from '../../../src/plugins/text-endpoints/lax-body.ts'
import { optional } from '../../../src/sdk/text-endpoint.ts'

const schema = Type.Object({
  share: optional(Type.Number()),
  count: optional(Type.Integer()),
  loud: optional(Type.Boolean()),
  name: optional(Type.String()),
  texts: Type.Array(Type.String()),
  either: Type.Union([Type.String(), Type.Number()]),
})

test('strings are converted to what the schema expects', () => {
  assert.deepEqual(
    laxBody(schema, { share: '0.3', count: ' 12 ', loud: 'tak', name: '5', either: '5' }, { form: false }),
    { share: 0.3, count: 12, loud: true, name: '5', either: '5' },
  )
  assert.deepEqual(laxBody(schema, { share: '-1e-2', count: '12.0', loud: 'false' }, { form: false }), {
    share: -0.01,
    count: 12,
    loud: false,
  })
})

test('values that cannot be converted are left for the schema to reject, and unknown fields stay unchanged', () => {
  const body = { share: 'many', count: '', loud: 'perhaps', constructor: '1', other: '2', texts: 'a' }
  assert.deepEqual(laxBody(schema, body, { form: false }), body)
  const typed = { share: 1, count: null, loud: false, texts: ['a'] }
  assert.deepEqual(laxBody(schema, typed, { form: false }), typed)
})

test('in a form a single string becomes a list where the schema expects a list', () => {
  assert.deepEqual(laxBody(schema, { texts: 'a', name: 'b' }, { form: true }), { texts: ['a'], name: 'b' })
})
