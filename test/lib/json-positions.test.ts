import assert from 'node:assert/strict'
import { test } from 'node:test'
import { activePath, modelPath, pathBelow, readPath } from '../../src/config/config-path.ts'
import { didYouMean } from '../../src/lib/did-you-mean.ts'
import { type JsonDocument, readJsonc } from '../../src/lib/json/jsonc.ts'

function jsonPositions(text: string): JsonDocument {
  const document = readJsonc(text)
  assert.ok(!document.syntaxError)
  return document
}

const text = `{
  "g": { "a \\"b": [10, { "x": "}],{" , "y": null }] },
  "empty": {}, "list": [ ],
  "after": true
}`

test('each value has the line and column at which it begins', () => {
  const { find } = jsonPositions(text)
  assert.deepEqual(find([]), { line: 1, column: 1 })
  assert.deepEqual(find(['g']), { line: 2, column: 8 })
  assert.deepEqual(find(['g', 'a "b', 0]), { line: 2, column: 20 })
  assert.deepEqual(find(['g', 'a "b', 1, 'y']), { line: 2, column: 45 })
  assert.deepEqual(find(['list']), { line: 3, column: 24 })
  assert.deepEqual(find(['after']), { line: 4, column: 12 })
})

test('a missing value has the position of its parent', () => {
  const { find } = jsonPositions(text)
  assert.deepEqual(find(['g', 'a "b', 1, 'missing', 'deeper']), find(['g', 'a "b', 1]))
  assert.deepEqual(find(['empty', '__proto__']), { line: 3, column: 12 })
})

test('a duplicate member is reported with its earlier position', () => {
  const { duplicates, find } = jsonPositions('{"a": {"b": 1},\r\n "c": {"b": 2}, "a": {"d": 3}}')
  assert.deepEqual(duplicates, [{ path: ['a'], position: { line: 1, column: 7 } }])
  assert.deepEqual(find(['a', 'd']), { line: 2, column: 28 }, 'the last one is used')
})

test('a byte order mark and a bare value are accepted', () => {
  assert.deepEqual(jsonPositions('\ufeff{"a": -1.5e3}').find(['a']), { line: 1, column: 7 })
  assert.deepEqual(jsonPositions(' 7 ').find([]), { line: 1, column: 2 })
})

test('comments and trailing commas are not part of the value, but count for positions', () => {
  const { value, find } = jsonPositions('// a\n{ /* b */ "a": [1, 2,], // c\n  "b": "//d", }')
  assert.deepEqual(value, { a: [1, 2], b: '//d' })
  assert.deepEqual(find(['b']), { line: 3, column: 8 })
})

test('a member __proto__ is an ordinary member', () => {
  const { value } = jsonPositions('{"__proto__": {"polluted": true}}')
  assert.deepEqual(Object.keys(Object(value)), ['__proto__'])
  assert.equal(Reflect.get(Object(value), 'polluted'), undefined)
})

test('the path at the beginning of an error is parsed, whatever the names', () => {
  for (const [group, alias] of [
    ['g', 'm'],
    ['my group', 'a/b: "c"'],
    ['$x-y', ''],
  ] as const) {
    const error = `${pathBelow(modelPath(group, alias), '/providers/0/odd ~1name')}: wrong: "x"`
    assert.deepEqual(readPath(error), [group, alias, 'providers', 0, 'odd /name'])
    assert.deepEqual(readPath(`${activePath(group, 3)}: no`), ['active_models', group, 3])
  }
})

test('an error without a path at the beginning has none', () => {
  assert.equal(readPath('cannot read the file'), undefined)
  assert.equal(readPath('"half: a name'), undefined)
})

test('a hint suggests the nearest name, and short names get none', () => {
  assert.equal(didYouMean('olama', ['openai', 'ollama']), '; did you mean "ollama"?')
  assert.equal(didYouMean('nothing-like-it', ['openai', 'ollama']), '')
  assert.equal(didYouMean('vlm', ['tgi', 'vllm']), '; did you mean "vllm"?')
  assert.equal(didYouMean('ab', ['ac']), '')
  assert.equal(didYouMean('same', ['same']), '')
})
