import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPassthrough } from '../../../src/dialects/anthropic/passthrough.ts'
import { cutAt, singleBytes, withLineEnds } from '../shared/codec.ts'
import { fixture, fixtures, passPieces, sse } from './support.ts'

/** What the client must receive: the same bytes with the other model name in the first event. */
function renamed(bytes: Buffer, model = 'alias'): string {
  return bytes.toString().replace('"model":"claude-up-1"', `"model":${JSON.stringify(model)}`)
}

const start = {
  type: 'message_start',
  message: { model: 'claude-up-1', content: [], usage: { input_tokens: 3, output_tokens: 1 } },
}
const text = (value: string) => ({
  type: 'content_block_delta',
  index: 0,
  delta: { type: 'text_delta', text: value },
})
const end = { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 5 } }
const stop = { type: 'message_stop' }

const complete = fixtures.filter((name) => name !== 'error.sse')

describe('bytes of a passthrough', () => {
  for (const name of complete) {
    const bytes = fixture(name)

    it(`${name} keeps every byte except the model name, split at any byte, with any line ending`, () => {
      for (const lineEnd of ['\n', '\r\n', '\r']) {
        const other = withLineEnds(bytes, lineEnd)
        const expected = renamed(other)
        for (let at = 0; at <= other.length; at++) {
          const { out, state } = passPieces(cutAt(other, at))
          assert.equal(out, expected, `cut at ${at}`)
          assert.equal(state.ended, true)
          assert.equal(state.failure, undefined)
        }
        assert.equal(passPieces(singleBytes(other)).out, expected)
      }
    })

    it(`${name} fails wherever it is cut off before its end, and emits complete events only`, () => {
      const last = bytes.lastIndexOf('data: {"type":"message_stop"}')
      for (let at = 0; at <= last; at++) {
        const { out, state } = passPieces([bytes.subarray(0, at)])
        assert.equal(state.failure?.causeCode, 'TRUNCATED', `cut off at ${at}`)
        assert.equal(state.ended, false)
        assert.ok(out === '' || out.endsWith('\n\n'))
        assert.doesNotMatch(out, /^event: message_stop/m)
      }
    })
  }

  it('a byte order mark is removed', () => {
    const bytes = fixture('text.sse')
    assert.equal(passPieces(singleBytes(Buffer.concat([Buffer.from('\ufeff'), bytes]))).out, renamed(bytes))
  })

  it('an alias is written as JSON, and only the first event is changed', () => {
    const { out } = passPieces([fixture('text.sse')], 'a "b"')
    assert.equal(out, renamed(fixture('text.sse'), 'a "b"'))
    assert.match(out, /\\"model\\":\\"claude-up-1\\"/)
  })

  it('a repeated message_start does not reveal the upstream’s model name', () => {
    const { out } = passPieces([sse(start, text('a'), start, end, stop)])
    assert.doesNotMatch(out, /claude-up-1/)
  })

  it('an event is passed on before the next one arrives', () => {
    const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
    passthrough.push(sse(start, text('a')))
    const next = sse(text('b'))
    assert.equal(passthrough.push(next.subarray(0, 30)), undefined)
    assert.deepEqual(passthrough.push(next.subarray(30)), next)
  })
})

describe('what a passthrough notices', () => {
  it('an event with data on several lines is not examined line by line', () => {
    const first = `data: {"type":"content_block_delta","delta":{"text":"${'x'.repeat(100_000)}"},`
    const pieces = [first, '\ndata: "note":\n', 'data: {"error":1}}\n\n'].map((piece) => Buffer.from(piece))
    const { out, state } = passPieces([...pieces, sse(text('a'), end, stop)])
    assert.equal(out, `${Buffer.concat(pieces)}${sse(text('a'), end, stop)}`)
    assert.equal(state.failure, undefined)
  })

  it('token counts are read from the start and the end, with cached tokens as part of the prompt', () => {
    assert.deepEqual(passPieces([fixture('text.sse')]).state.usage, {
      promptTokens: 32,
      completionTokens: 7,
      cachedTokens: 20,
      cacheWriteTokens: 3,
    })
  })

  it('a head, a ping and an empty text block are not content; a delta, a call and a stop reason are', () => {
    const contentAfter = (...values: Record<string, unknown>[]) => {
      const passthrough = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
      passthrough.push(sse(...values))
      return passthrough.state.content
    }
    const block = (content_block: object) => ({ type: 'content_block_start', index: 0, content_block })
    assert.equal(contentAfter(start, { type: 'ping' }, block({ type: 'text', text: '' })), false)
    assert.equal(contentAfter(start, text('')), false)
    assert.equal(contentAfter(start, text('a')), true)
    assert.equal(contentAfter(start, block({ type: 'tool_use', id: 'a', name: 'f', input: {} })), true)
    assert.equal(contentAfter(start, end), true)
  })

  it('bytes after the end are dropped', () => {
    const bytes = sse(text('a'), end, stop)
    assert.equal(passPieces([Buffer.concat([bytes, sse(text('b'))]), sse(stop)]).out, bytes.toString())
  })

  it('an end without its empty line counts, and is completed', () => {
    const bytes = fixture('text.sse')
    const { out, state } = passPieces([bytes.subarray(0, -2)])
    assert.equal(out, renamed(bytes))
    assert.equal(state.ended, true)
  })

  it('an end without content is a failure and is not passed on', () => {
    const { out, state } = passPieces([sse(start, stop)])
    assert.equal(state.failure?.causeCode, 'TRUNCATED')
    assert.doesNotMatch(out, /message_stop/)
  })

  it('unreadable data before the content is a failure', () => {
    const { out, state } = passPieces([Buffer.from('data: <html>\n\n')])
    assert.equal(state.failure?.causeCode, 'BAD_ANSWER')
    assert.equal(out, '')
  })
})

describe('errors', () => {
  it('an error ends the passthrough before its event, wherever the stream is split', () => {
    const bytes = fixture('error.sse')
    const expected = renamed(bytes.subarray(0, bytes.indexOf('event: error')))
    for (let at = 0; at <= bytes.length; at++) {
      const { out, state } = passPieces(cutAt(bytes, at))
      assert.equal(out, expected, `cut at ${at}`)
      assert.equal(state.failure?.kind, 'overloaded')
      assert.doesNotMatch(state.failure?.message ?? '', /10\.1/)
    }
  })

  it('errors are recognized in each of their forms', () => {
    for (const form of [
      'event: error\ndata: boom\n\n',
      'data: {"type":"error"}\n\n',
      'data: {"error":"boom"}\n\n',
    ]) {
      const { out, state } = passPieces([sse(start, text('a')), Buffer.from(form), sse(stop)])
      assert.equal(state.failure?.causeCode, 'UPSTREAM_ERROR', form)
      assert.doesNotMatch(out, /boom|message_stop/, form)
    }
  })

  it('words inside a text that look like an error are passed on', () => {
    const bytes = sse(
      start,
      text('error'),
      text('message_stop'),
      text('"error" event: error "message_stop"'),
      end,
      stop,
    )
    const { out, state } = passPieces([bytes])
    assert.equal(out, renamed(bytes))
    assert.equal(state.failure, undefined)
  })
})
