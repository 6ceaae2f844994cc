import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { passthroughEdits } from '../../../src/dialects/openai/passthrough.ts'
import { applyEdits, scanObject } from '../../../src/lib/json/splice.ts'

function edit(text: string, stream: boolean, wantUsage: boolean): { text: string; stripUsage: boolean } {
  const bytes = Buffer.from(text)
  const scan = scanObject(bytes)
  assert.ok(scan)
  const { edits, stripUsage } = passthroughEdits({ bytes, scan, body: JSON.parse(text), stream, wantUsage })
  const edited = applyEdits(bytes, edits).toString()
  JSON.parse(edited)
  return { text: edited, stripUsage }
}

describe('stream member', () => {
  it('a body with the effective value of stream is not changed', () => {
    for (const [text, stream] of [
      ['{ "stream" : true, "a": -0 }', true],
      ['{"stream":false}', false],
      ['{"stream":null}', false],
      ['{"messages":[]}', false],
    ] as const) {
      assert.deepEqual(edit(text, stream, false), { text, stripUsage: false })
    }
  })

  it('stream as a string is replaced by the boolean', () => {
    assert.equal(edit('{"a":1e400,"stream": "true" }', true, false).text, '{"a":1e400,"stream": true }')
    assert.equal(edit('{"stream":"false"}', false, false).text, '{"stream":false}')
  })

  it('stream is added if the configuration decides it', () => {
    assert.equal(edit('{"messages":[]}', true, false).text, '{"stream":true,"messages":[]}')
    assert.equal(edit('{"stream":null}', true, false).text, '{"stream":true}')
  })
})

describe('token counts', () => {
  it('token counts are requested if only the router needs them', () => {
    assert.deepEqual(edit('{"stream":true,"big":12345678901234567890}', true, true), {
      text: '{"stream_options":{"include_usage":true},"stream":true,"big":12345678901234567890}',
      stripUsage: true,
    })
    assert.equal(
      edit('{"messages":[]}', true, true).text,
      '{"stream":true,"stream_options":{"include_usage":true},"messages":[]}',
    )
  })

  it('other members of stream_options are unchanged', () => {
    const cases = [
      [
        '{"stream":true,"stream_options": { "x" : 1.0 } }',
        '{"stream":true,"stream_options": {"include_usage":true, "x" : 1.0 } }',
      ],
      ['{"stream":true,"stream_options":{}}', '{"stream":true,"stream_options":{"include_usage":true}}'],
      ['{"stream":true,"stream_options":null}', '{"stream":true,"stream_options":{"include_usage":true}}'],
      [
        '{"stream_options":{"a":1,"include_usage": false},"stream":true}',
        '{"stream_options":{"a":1,"include_usage": true},"stream":true}',
      ],
    ] as const
    for (const [sent, expected] of cases)
      assert.deepEqual(edit(sent, true, true), { text: expected, stripUsage: true })
  })

  it('stream_options is unchanged if the client requested counts, if nothing needs them, and without a stream', () => {
    const asked = '{"stream":true,"stream_options":{"include_usage":true}}'
    assert.deepEqual(edit(asked, true, true), { text: asked, stripUsage: false })
    assert.deepEqual(edit('{"stream":true}', true, false), { text: '{"stream":true}', stripUsage: false })
    assert.deepEqual(edit('{"stream":false}', false, true), { text: '{"stream":false}', stripUsage: false })
  })
})
