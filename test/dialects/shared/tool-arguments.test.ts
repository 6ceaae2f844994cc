import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  argumentObject,
  argumentText,
  objectSoFar,
} from '../../../src/dialects/shared/tools/tool-arguments.ts'

for (const [cut, members] of [
  ['{', {}],
  ['{"a', {}],
  ['{"a"', {}],
  ['{"a": ', {}],
  ['{"a": "lo', { a: 'lo' }],
  ['{"a": "lo"', { a: 'lo' }],
  ['{"a": "lo", ', { a: 'lo' }],
  ['{"a": "lo\\', { a: 'lo' }],
  ['{"a": "lo\\\\', { a: 'lo\\' }],
  ['{"a": "lo\\u00f', { a: 'lo' }],
  ['{"a": "lo\\ud83d', { a: 'lo' }],
  ['{"a": "lo\\\\ud83d', { a: 'lo\\ud83d' }],
  [`{"a": "lo${'🦜'.slice(0, 1)}`, { a: 'lo' }],
  ['{"a": 12', {}],
  ['{"a": 12,', { a: 12 }],
  ['{"a": true', { a: true }],
  ['{"a": tru', {}],
  ['{"a": [1, 2', { a: [1] }],
  ['{"a": [{"b": "c"}, {"d": "e', { a: [{ b: 'c' }, { d: 'e' }] }],
  ['{"a": {"b": ["x"]', { a: { b: ['x'] } }],
  ['{"a": "}{][,:\\"", "b": "', { a: '}{][,:"', b: '' }],
] as const) {
  test(`truncated arguments yield the members received so far: ${cut}`, () =>
    assert.deepEqual(argumentObject(cut), members))
}

for (const text of [
  '[1]',
  '"x"',
  '5',
  'get_weather(city)',
  "{'a': 1}",
  '{"a": 1}}',
  '{a: "b"}',
  '{"a": nul,}',
]) {
  test(`arguments that are not an object are kept as a string: ${text}`, () => {
    assert.deepEqual(argumentObject(text), { invalid_arguments: text })
  })
}

test('every prefix of an object yields an object that can be serialized', () => {
  const whole =
    '{"path":"/tmp/żółć 🦜\\n\\u00e9","edits":[{"n":-1.5e3,"ok":false},null],"deep":{"a":{"b":[[]]}}}'
  for (let end = 1; end < whole.length; end++) {
    const members = objectSoFar(whole.slice(0, end))
    assert.ok(members, whole.slice(0, end))
    assert.equal(JSON.stringify(members).isWellFormed(), true)
  }
  assert.deepEqual(argumentObject(whole), JSON.parse(whole))
})

test('arguments nested too deeply to be serialized are kept as a string', () => {
  const deep = `{"a":${'['.repeat(100_000)}`
  assert.deepEqual(argumentObject(deep), { invalid_arguments: deep })
  assert.deepEqual(argumentObject(`{"a":"${'['.repeat(100_000)}`), { a: '['.repeat(100_000) })
})

test('arguments may be a string, an object or absent', () => {
  assert.deepEqual([{ a: 1 }, '{"a":1}', null, undefined].map(argumentText), ['{"a":1}', '{"a":1}', '', ''])
})
