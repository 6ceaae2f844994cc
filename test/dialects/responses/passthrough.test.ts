import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { responses } from '../../../src/dialects/responses/index.ts'
import { createPassthrough } from '../../../src/dialects/responses/passthrough.ts'
import { applyEdits, scanObject } from '../../../src/lib/json/splice.ts'
import type { ChatPassthrough } from '../../../src/sdk/dialect.ts'
import { streamTruncated } from '../../../src/sdk/errors.ts'
import { cutAt, singleBytes } from '../shared/codec.ts'
import { fixture, streamOf } from './support.ts'

function pass(pieces: readonly Buffer[]): { out: string; state: ChatPassthrough['state'] } {
  const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
  const out = pieces.map((piece) => passthrough.push(piece)).filter((bytes) => bytes !== undefined)
  const last = passthrough.end()
  if (last) out.push(last)
  return { out: Buffer.concat(out).toString(), state: passthrough.state }
}

function renamed(bytes: Buffer): string {
  return bytes.toString().replaceAll('"model":"org/up-7b"', '"model":"alias"')
}

function withLineEnds(bytes: Buffer, lineEnd: string): Buffer {
  return Buffer.from(bytes.toString().replaceAll('\n', lineEnd))
}

describe('a stream that breaks off', () => {
  it('a broken stream ends with response.failed, with its sequence number, its id and the client’s model name', () => {
    const bytes = fixture('text.sse')
    const pieces = bytes.toString().split(/(?<=\n\n)/)
    for (let count = 1; count < pieces.length - 1; count++) {
      const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
      passthrough.push(Buffer.from(`${pieces.slice(0, count).join('')}event: response.out`))
      passthrough.end()
      const text = passthrough.writeError?.(streamTruncated()) ?? ''
      const [, data] = /^event: response\.failed\ndata: (.*)\n\n$/.exec(text) ?? []
      const { type, sequence_number, response } = JSON.parse(data ?? '')
      assert.deepEqual([type, sequence_number], ['response.failed', count])
      assert.deepEqual([response.id, response.model, response.status], ['resp_up1', 'alias', 'failed'])
    }
  })

  it('a stream that breaks before any event is reported by the dialect', () => {
    const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
    assert.equal(passthrough.writeError?.(streamTruncated()), undefined)
  })
})

describe('bytes of a passthrough', () => {
  for (const name of ['text.sse', 'calls.sse', 'incomplete.sse']) {
    const bytes = fixture(name)

    it(`${name} keeps every byte except the model name, split anywhere and with any line ending`, () => {
      for (const lineEnd of ['\n', '\r\n', '\r']) {
        const sent = withLineEnds(bytes, lineEnd)
        const expected = renamed(sent)
        assert.notEqual(expected, sent.toString())
        for (let at = 0; at <= sent.length; at++) {
          // With other line endings, only splits around them make a difference.
          if (lineEnd !== '\n' && !/[\r\n]/.test(sent.toString('latin1', at - 1, at + 1))) continue
          const { out, state } = pass(cutAt(sent, at))
          assert.equal(out, expected, `cut at ${at}`)
          assert.ok(state.content && state.ended && !state.failure && state.usage)
        }
        assert.equal(pass(singleBytes(sent)).out, expected)
      }
    })

    it(`${name} fails wherever it is cut off before its end`, () => {
      const terminal = bytes.lastIndexOf('event: ')
      for (let at = 0; at < terminal; at++) {
        const { out, state } = pass([bytes.subarray(0, at)])
        assert.equal(state.failure?.causeCode, 'TRUNCATED', `cut off at ${at}`)
        assert.equal(state.ended, false)
        assert.ok(out === '' || out.endsWith('\n\n'), 'whole events only')
      }
    })
  }

  it('token counts are read from the last event', () => {
    assert.deepEqual(pass([fixture('text.sse')]).state.usage, {
      promptTokens: 9,
      completionTokens: 4,
      cachedTokens: 2,
      reasoningTokens: 0,
    })
  })

  it('a missing empty line after the last event is added', () => {
    const bytes = fixture('text.sse')
    const { out, state } = pass([bytes.subarray(0, bytes.length - 2)])
    assert.ok(state.ended && out.endsWith('\n\n'))
    assert.ok(out.startsWith(renamed(bytes).trimEnd()))
  })

  it('a response that is only announced is not content', () => {
    const bytes = fixture('text.sse')
    const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
    passthrough.push(bytes.subarray(0, bytes.indexOf('event: response.output_text.delta')))
    assert.equal(passthrough.state.content, false)
    passthrough.push(bytes.subarray(bytes.indexOf('event: response.output_text.delta')))
    assert.equal(passthrough.state.content, true)
  })

  it('a failure of the upstream is withheld, and left for the router to report', () => {
    const { out, state } = pass([fixture('failed.sse')])
    assert.equal(state.failure?.causeCode, 'UPSTREAM_ERROR')
    assert.ok(out.includes('"delta":"Hi"') && !out.includes('10.0.0.7'))
  })

  it('an error event is recognized by its name or by its form', () => {
    const form = streamOf({ type: 'error', code: 'x', message: 'y' })
    const name = Buffer.from('event: error\ndata: {"message":"y"}\n\n')
    for (const bytes of [form, name]) assert.equal(pass([bytes]).state.failure?.causeCode, 'UPSTREAM_ERROR')
    const said = streamOf({ type: 'response.output_text.delta', delta: 'an "error" occurred' })
    assert.equal(pass([said]).state.failure?.causeCode, 'TRUNCATED')
  })
})

describe('stream member of a passthrough request', () => {
  function edited(text: string, stream: boolean): string {
    const bytes = Buffer.from(text)
    const scan = scanObject(bytes)
    assert.ok(scan)
    const { edits, stripUsage } = responses.chat.passthroughEdits({
      bytes,
      scan,
      body: JSON.parse(text),
      stream,
      wantUsage: true,
    })
    assert.equal(stripUsage, false)
    return applyEdits(bytes, edits).toString()
  }

  it('a request with the effective value of stream is unchanged', () => {
    assert.equal(edited('{"model":"m"}', false), '{"model":"m"}')
    assert.equal(edited('{"stream":true,"seed":-0}', true), '{"stream":true,"seed":-0}')
  })

  it('stream is always sent as a boolean', () => {
    assert.equal(edited('{"stream":"true"}', true), '{"stream":true}')
    assert.equal(edited('{"model":"m"}', true), '{"stream":true,"model":"m"}')
    assert.equal(edited('{"stream":null}', true), '{"stream":true}')
  })
})
