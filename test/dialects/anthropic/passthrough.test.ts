import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPassthrough } from '../../../src/dialects/anthropic/passthrough.ts'
import { cutAt, fixture, fixtures, passPieces, singleBytes, sse, withLineEnds } from './support.ts'

/** What the client must get: the same bytes with the other name of the model in the head. */
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

describe('bytes go through', () => {
  for (const name of complete) {
    const bytes = fixture(name)

    it(`${name} keeps every byte but the name of the model, cut at any byte, with any line end`, () => {
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

    it(`${name} fails wherever it is cut off before its end, and gives whole events only`, () => {
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

  it('a byte order mark is taken off', () => {
    const bytes = fixture('text.sse')
    assert.equal(passPieces(singleBytes(Buffer.concat([Buffer.from('\ufeff'), bytes]))).out, renamed(bytes))
  })

  it('an alias is written as JSON, and only the head is changed', () => {
    const { out } = passPieces([fixture('text.sse')], 'a "b"')
    assert.equal(out, renamed(fixture('text.sse'), 'a "b"'))
    assert.match(out, /\\"model\\":\\"claude-up-1\\"/)
  })

  it('a head that comes again does not show the upstream’s name', () => {
    const { out } = passPieces([sse(start, text('a'), start, end, stop)])
    assert.doesNotMatch(out, /claude-up-1/)
  })

  it('an event is passed on before the next one comes', () => {
    const lane = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
    lane.push(sse(start, text('a')))
    const next = sse(text('b'))
    assert.equal(lane.push(next.subarray(0, 30)), undefined)
    assert.deepEqual(lane.push(next.subarray(30)), next)
  })
})

describe('what it notes', () => {
  it('no event in a line of one whose data comes on several lines', () => {
    const first = `data: {"type":"content_block_delta","delta":{"text":"${'x'.repeat(100_000)}"},`
    const pieces = [first, '\ndata: "note":\n', 'data: {"error":1}}\n\n'].map((piece) => Buffer.from(piece))
    const { out, state } = passPieces([...pieces, sse(text('a'), end, stop)])
    assert.equal(out, `${Buffer.concat(pieces)}${sse(text('a'), end, stop)}`)
    assert.equal(state.failure, undefined)
  })

  it('the counts of beginning and end, cached ones among the prompt’s', () => {
    assert.deepEqual(passPieces([fixture('text.sse')]).state.usage, {
      promptTokens: 32,
      completionTokens: 7,
      cachedTokens: 20,
      cacheWriteTokens: 3,
    })
  })

  it('a head, a ping and the start of a text are no content; a piece, a call and a reason to stop are', () => {
    const contentAfter = (...values: Record<string, unknown>[]) => {
      const lane = createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
      lane.push(sse(...values))
      return lane.state.content
    }
    const block = (content_block: object) => ({ type: 'content_block_start', index: 0, content_block })
    assert.equal(contentAfter(start, { type: 'ping' }, block({ type: 'text', text: '' })), false)
    assert.equal(contentAfter(start, text('')), false)
    assert.equal(contentAfter(start, text('a')), true)
    assert.equal(contentAfter(start, block({ type: 'tool_use', id: 'a', name: 'f', input: {} })), true)
    assert.equal(contentAfter(start, end), true)
  })

  it('bytes behind the end are dropped', () => {
    const bytes = sse(text('a'), end, stop)
    assert.equal(passPieces([Buffer.concat([bytes, sse(text('b'))]), sse(stop)]).out, bytes.toString())
  })

  it('an end whose empty line is missing counts, and is made whole', () => {
    const bytes = fixture('text.sse')
    const { out, state } = passPieces([bytes.subarray(0, -2)])
    assert.equal(out, renamed(bytes))
    assert.equal(state.ended, true)
  })

  it('an end behind nothing is a failure, and is not passed on', () => {
    const { out, state } = passPieces([sse(start, stop)])
    assert.equal(state.failure?.causeCode, 'TRUNCATED')
    assert.doesNotMatch(out, /message_stop/)
  })

  it('what cannot be read in front of the content is a failure', () => {
    const { out, state } = passPieces([Buffer.from('data: <html>\n\n')])
    assert.equal(state.failure?.causeCode, 'BAD_ANSWER')
    assert.equal(out, '')
  })
})

describe('errors', () => {
  it('end the lane before their event, at any cut', () => {
    const bytes = fixture('error.sse')
    const expected = renamed(bytes.subarray(0, bytes.indexOf('event: error')))
    for (let at = 0; at <= bytes.length; at++) {
      const { out, state } = passPieces(cutAt(bytes, at))
      assert.equal(out, expected, `cut at ${at}`)
      assert.equal(state.failure?.kind, 'overloaded')
      assert.doesNotMatch(state.failure?.message ?? '', /10\.1/)
    }
  })

  it('are known in each of their forms', () => {
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

  it('words that look like one inside a text are none', () => {
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
