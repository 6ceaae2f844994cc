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

test('texts become what the schema wants', () => {
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

test('what does not read as that stays for the schema to refuse, and unknown fields stay as they are', () => {
  const body = { share: 'many', count: '', loud: 'perhaps', constructor: '1', other: '2', texts: 'a' }
  assert.deepEqual(laxBody(schema, body, { form: false }), body)
  const typed = { share: 1, count: null, loud: false, texts: ['a'] }
  assert.deepEqual(laxBody(schema, typed, { form: false }), typed)
})

test('in a form a single text is a list where a list belongs', () => {
  assert.deepEqual(laxBody(schema, { texts: 'a', name: 'b' }, { form: true }), { texts: ['a'], name: 'b' })
})
