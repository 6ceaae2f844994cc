import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renameModel, renameModelInText } from '../../src/relay/answer/whole-answer.ts'

/** What a client gets for these bytes: the string if there is one, otherwise the bytes. */
function renamed(json: string): string {
  const bytes = Buffer.from(json)
  const text = bytes.toString()
  const parsed: unknown = JSON.parse(text)
  const small = renameModelInText(bytes, 'my "alias"', { text, parsed })
  const whole = renameModel(bytes, 'my "alias"', { parsed }).toString()
  if (small !== undefined) assert.equal(small, whole)
  return whole
}

test('only the name of the model changes, whatever surrounds it', () => {
  assert.equal(
    renamed('{ "n":12345678901234567890,"model" : "served/x" ,"z":-0}'),
    '{ "n":12345678901234567890,"model" : "my \\"alias\\"" ,"z":-0}',
  )
  assert.equal(renamed('{"id":"model","model":"x"}'), '{"id":"model","model":"my \\"alias\\""}')
  assert.equal(renamed('{"model":"a\\"b","c":1}'), '{"model":"my \\"alias\\"","c":1}')
  assert.equal(renamed('{"m\\u006fdel":"x","c":1}'), '{"m\\u006fdel":"my \\"alias\\"","c":1}')
  assert.equal(renamed('{"model":null,"c":"x"}'), '{"model":"my \\"alias\\"","c":"x"}')
  assert.equal(
    renamed('{"c":{"model":"inner"},"model":"x"}'),
    '{"c":{"model":"inner"},"model":"my \\"alias\\""}',
  )
})

test('an answer that does not name a model itself stays unchanged', () => {
  for (const json of ['{"id":1}', '{"c":{"model":"inner"}}', '{"c":"model"}', '[]', '"model"'])
    assert.equal(renamed(json), json)
})

test('a small ASCII answer is a string, any other is bytes', () => {
  const textOf = (json: string): string | undefined =>
    renameModelInText(Buffer.from(json), 'alias', { text: json, parsed: JSON.parse(json) })
  assert.equal(textOf('{"model":"x","text":"plain"}'), '{"model":"alias","text":"plain"}')
  assert.equal(textOf('{"model":"x","text":"żółw"}'), undefined)
  assert.equal(textOf(`{"model":"x","text":"${'long '.repeat(4_000)}"}`), undefined)
})
