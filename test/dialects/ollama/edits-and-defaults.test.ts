import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ollama } from '../../../src/dialects/ollama/index.ts'
import { applyEdits, scanObject } from '../../../src/lib/json/splice.ts'

const { missingDefaults } = ollama.chat

function edited(json: string, stream: boolean): string {
  const bytes = Buffer.from(json)
  const scan = scanObject(bytes)
  assert.ok(scan)
  const { edits, stripUsage } = ollama.chat.passthroughEdits({
    bytes,
    scan,
    body: JSON.parse(json),
    stream,
    wantUsage: true,
  })
  assert.equal(stripUsage, false)
  return applyEdits(bytes, edits).toString()
}

describe('stream member of a passthrough request', () => {
  const untouched: [string, boolean][] = [
    ['{"model":"m", "seed":12345678901234567890}', true],
    ['{"model":"m","stream":null}', true],
    ['{"stream" : false}', false],
    ['{"stream":true}', true],
  ]
  for (const [json, stream] of untouched) {
    test(`${json} is sent unchanged to Ollama for stream ${stream}`, () =>
      assert.equal(edited(json, stream), json))
  }

  test('stream is set to false if Ollama would stream and the router does not', () => {
    assert.equal(edited('{"model":"m"}', false), '{"stream":false,"model":"m"}')
    assert.equal(edited('{"stream":null, "model":"m"}', false), '{"stream":false, "model":"m"}')
  })

  test('stream as a string is replaced by the boolean', () => {
    assert.equal(edited('{"model":"m", "stream": "true"}', true), '{"model":"m", "stream": true}')
    assert.equal(edited('{"stream":"false"}', false), '{"stream":false}')
  })
})

test('Ollama streams by default', () => assert.equal(ollama.chat.streamsByDefault, true))

describe('defaults', () => {
  test('defaults fill what the client left out or set to null', () => {
    assert.deepEqual(
      missingDefaults({ think: null, format: 'json' }, { keep_alive: '1h', think: false, format: '' }),
      {
        keep_alive: '1h',
        think: false,
      },
    )
  })

  test('options are filled individually, and the client’s values stay', () => {
    const body = { options: { temperature: 0, seed: null, custom: 1 } }
    assert.deepEqual(missingDefaults(body, { options: { temperature: 0.7, seed: 3, num_ctx: 8192 } }), {
      options: { temperature: 0, seed: 3, custom: 1, num_ctx: 8192 },
    })
  })

  test('options that are complete or not an object are not returned', () => {
    assert.deepEqual(missingDefaults({ options: { num_ctx: 1 } }, { options: { num_ctx: 2 } }), {})
    assert.deepEqual(missingDefaults({ options: 'x' }, { options: { num_ctx: 2 } }), {})
    assert.deepEqual(missingDefaults({}, { options: {} }), {})
  })

  test('defaults under the sampling names of other dialects are accepted, and options override them', () => {
    const defaults = {
      temperature: 0.1,
      top_p: 0.2,
      max_tokens: 100,
      stop: 'END',
      repetition_penalty: 1.1,
      num_ctx: 4096,
      options: { temperature: 0.9 },
    }
    assert.deepEqual(missingDefaults({ options: null }, defaults), {
      options: {
        temperature: 0.9,
        top_p: 0.2,
        num_predict: 100,
        stop: ['END'],
        repeat_penalty: 1.1,
        num_ctx: 4096,
      },
    })
  })

  test('defaults do not change the body of the request', () => {
    const body = { options: { seed: 1 } }
    missingDefaults(body, { options: { num_ctx: 2 } })
    assert.deepEqual(body, { options: { seed: 1 } })
  })
})
