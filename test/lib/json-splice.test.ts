import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyEdits, rangeOfUniqueMember, scanObject, setMembers } from '../../src/lib/json/splice.ts'

const none: ReadonlySet<string> = new Set()

function splice(text: string, values: Record<string, unknown>, removed: ReadonlySet<string> = none): string {
  const bytes = Buffer.from(text)
  const scan = scanObject(bytes)
  assert.ok(scan, 'an object')
  return applyEdits(bytes, setMembers(scan, values, removed)).toString()
}

test('only the value of the named member changes; numbers, order and white space stay byte for byte', () => {
  const body =
    '{ "n": 12345678901234567890,\n\t"model" : "alias" , "z":-0, "e":1e400, "x":{"model":"inner"} }'
  assert.equal(splice(body, { model: 'up/stream' }), body.replace('"alias"', '"up/stream"'))
})

test('a missing member is inserted at the front, also in an empty object', () => {
  assert.equal(splice('{"a":1}', { model: 'm', b: [1] }), '{"model":"m","b":[1],"a":1}')
  assert.equal(splice(' { } ', { model: 'm' }), ' {"model":"m" } ')
})

test('members are removed at the front, in the middle and at the end, also together', () => {
  const body = '{"a":1, "b":{"c":2} ,"d":"x"}'
  assert.equal(splice(body, {}, new Set(['a'])), '{"b":{"c":2} ,"d":"x"}')
  assert.equal(splice(body, {}, new Set(['b'])), '{"a":1, "d":"x"}')
  assert.equal(splice(body, {}, new Set(['d'])), '{"a":1, "b":{"c":2}}')
  assert.equal(splice(body, {}, new Set(['b', 'd'])), '{"a":1}')
  assert.deepEqual(JSON.parse(splice(body, { m: 1 }, new Set(['a', 'b', 'd']))), { m: 1 })
})

test('an escaped key is found by its decoded name, and a string that looks like a key is not', () => {
  assert.equal(splice('{"m\\u006fdel":"a"}', { model: 'b' }), '{"m\\u006fdel":"b"}')
  const quoted = '{"text":"\\"model\\":\\"x\\"","model":"a"}'
  assert.equal(splice(quoted, { model: 'b' }), quoted.replace('"a"', '"b"'))
})

test('strings of any length end at the right quote, whatever backslashes they contain', () => {
  for (const filler of [
    '',
    'x'.repeat(63),
    'y'.repeat(64),
    '\\\\'.repeat(40),
    `${'z'.repeat(100)}\\"`,
    '\\"'.repeat(99),
  ]) {
    const body = `{"t":"${filler}","model":"a"}`
    JSON.parse(body)
    assert.equal(splice(body, { model: 'b' }), `{"t":"${filler}","model":"b"}`)
  }
})

test('every duplicate of a member gets the new value', () => {
  assert.equal(splice('{"model":1,"model":2}', { model: 'm' }), '{"model":"m","model":"m"}')
})

test('the depth counts nested objects and lists, not brackets in strings', () => {
  assert.equal(scanObject(Buffer.from('{"a":[[{"b":1}]],"t":"[[[[[["}'))?.depth, 4)
})

test('a text that is not an object, or is truncated, is not scanned', () => {
  for (const text of [
    '',
    '[]',
    '1',
    '"x"',
    '{',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '{"a":"x',
    '{a:1}',
    '{"a":[1}',
  ]) {
    assert.equal(scanObject(Buffer.from(text)), undefined, text)
  }
})

test('the only member of a name is found without a scan, if it is unambiguous', () => {
  const name = Buffer.from('"model"')
  const memberText = (text: string): string | undefined => {
    JSON.parse(text)
    const range = rangeOfUniqueMember(Buffer.from(text), name)
    return range && text.slice(range.start, range.end)
  }
  assert.equal(memberText('{"a":[1,{"b":2}],"model" : "x\\"y" ,"c":"model"}'), undefined)
  assert.equal(memberText('{"a":[1,{"b":2}],"model" : "x\\"y" ,"c":" model"}'), '"x\\"y"')
  assert.equal(memberText('{"text":"\\"model\\":\\"x\\"","model":"a"}'), '"a"')
  // The first of them might be nested, or the last of them the effective one.
  assert.equal(memberText('{"x":{"model":"inner"},"model":"a"}'), undefined)
  assert.equal(memberText('{"model":"a","model":"b"}'), undefined)
  assert.equal(memberText('{"m\\u006fdel":"a","x":{"model":"inner"}}'), undefined)
  assert.equal(memberText('{"m\\u006fdel":"a"}'), undefined)
  assert.equal(memberText('{"model":7}'), undefined)
  assert.equal(memberText('{"text":"ends with \\"model","model":"a"}'), undefined)
})
