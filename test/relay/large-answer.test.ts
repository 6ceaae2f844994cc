import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLargeAnswer } from '../../src/relay/answer/large-answer.ts'

function relayed(chunks: Buffer[], model = 'alias'): { text: string; complete: boolean } {
  const lane = createLargeAnswer(model)
  const out = chunks.map((chunk) => lane.push(chunk) ?? Buffer.alloc(0))
  lane.end()
  return { text: Buffer.concat(out).toString(), complete: lane.state.ended }
}

const answers: [name: string, answer: string, expected: string][] = [
  ['first', '{"model":"up","choices":[]}', '{"model":"alias","choices":[]}'],
  [
    'after everything else',
    '{"choices":[{"a":1}], "model" : "up" }\n',
    '{"choices":[{"a":1}], "model" : "alias" }\n',
  ],
  ['with quotes and backslashes in it', '{"model":"u\\"\\\\","x":1}', '{"model":"alias","x":1}'],
  ['absent', '{"id":"x","n":-0,"big":12345678901234567890}', '{"id":"x","n":-0,"big":12345678901234567890}'],
  [
    'only nested, or in a string',
    '{"a":{"model":"up"},"b":"\\"model\\":\\"up\\""}',
    '{"a":{"model":"up"},"b":"\\"model\\":\\"up\\""}',
  ],
  ['only the beginning of another key', '{"models":"up","mode":"up"}', '{"models":"up","mode":"up"}'],
  ['not a string', '{"model":null,"x":["model","up"]}', '{"model":null,"x":["model","up"]}'],
]

for (const [name, answer, expected] of answers) {
  test(`for every split of the bytes only the outermost model changes, here ${name}`, () => {
    const bytes = Buffer.from(answer)
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { text, complete } = relayed([bytes.subarray(0, cut), bytes.subarray(cut)])
      assert.deepEqual({ text, complete }, { text: expected, complete: true }, `split at ${cut}`)
    }
    assert.equal(relayed([...bytes].map((byte) => Buffer.from([byte]))).text, expected)
  })
}

test('an answer is complete only when its object is closed', () => {
  const bytes = Buffer.from('{"model":"up","choices":[{"text":"}]}"}]}')
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(relayed([bytes.subarray(0, length)]).complete, false, `cut at ${length}`)
  }
})
