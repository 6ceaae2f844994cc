import assert from 'node:assert/strict'
import { it } from 'node:test'
import { exampleOf } from '../../src/providers/mock/schema.ts'

it('an object has its required members and no others', () => {
  const schema = {
    type: 'object',
    properties: {
      a: { type: 'integer' },
      b: { type: 'boolean' },
      c: { type: 'null' },
      d: { type: 'string' },
    },
    required: ['a', 'b', 'c'],
  }
  assert.deepEqual(exampleOf(schema), { a: 0, b: false, c: null })
})

it('const, enum and default take precedence', () => {
  assert.equal(exampleOf({ type: 'string', const: 'x' }), 'x')
  assert.equal(exampleOf({ type: 'string', enum: ['red', 'blue'] }), 'red')
  assert.equal(exampleOf({ type: 'integer', default: 7 }), 7)
})

it('references within the schema are resolved, including members with a slash', () => {
  const schema = {
    type: 'object',
    properties: { place: { $ref: '#/$defs/a~1b' } },
    required: ['place'],
    $defs: { 'a/b': { type: 'array', items: { type: 'integer' }, minItems: 2 } },
  }
  assert.deepEqual(exampleOf(schema), { place: [0, 0] })
})

it('a nullable member gets a value', () => {
  assert.equal(exampleOf({ anyOf: [{ type: 'null' }, { type: 'boolean' }] }), false)
  assert.equal(exampleOf({ type: ['null', 'integer'] }), 0)
})

it('the parts of allOf are merged', () => {
  const schema = {
    allOf: [
      { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] },
      { $ref: '#/$defs/named' },
    ],
    $defs: { named: { properties: { name: { type: 'string', enum: ['n'] } }, required: ['name'] } },
  }
  assert.deepEqual(exampleOf(schema), { a: 0, name: 'n' })
})

it('bounds of numbers and strings are respected', () => {
  assert.equal(exampleOf({ type: 'integer', minimum: 3 }), 3)
  assert.equal(exampleOf({ type: 'integer', exclusiveMinimum: 3 }), 4)
  assert.equal(exampleOf({ type: 'integer', maximum: -2 }), -2)
  assert.equal(String(exampleOf({ type: 'string', minLength: 9 })).length, 9)
  assert.equal(exampleOf({ type: 'string', maxLength: 2 }), 'mo')
  assert.ok(Number.isFinite(Date.parse(String(exampleOf({ type: 'string', format: 'date-time' })))))
})

it('a recursive schema terminates, even if it branches', () => {
  const node = {
    type: 'object',
    properties: {
      left: { $ref: '#' },
      right: { $ref: '#' },
      more: { type: 'array', items: { $ref: '#' }, minItems: 9 },
    },
    required: ['left', 'right', 'more'],
  }
  assert.ok(JSON.stringify(exampleOf(node)).length < 200_000)
})

it('a value that is not a schema yields an empty object', () => {
  assert.deepEqual(exampleOf(undefined), {})
  assert.deepEqual(exampleOf(true), {})
})
