import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import { cutAt, singleBytes, withLineEnds } from '../shared/codec.ts'
import { causeCodeOf, countingReader, delta, fixture, fragment, lastOf, read, readPieces } from './replay.ts'

const fixtures = [
  'text.sse',
  'reasoning.sse',
  'tools.sse',
  'two-choices.sse',
  'refusal.sse',
  'error-vllm.sse',
]

const started = { type: 'start', id: 'chatcmpl-up1', created: 1_795_392_000 }

describe('content of an OpenAI stream', () => {
  it('a stream yields text, the token counts before the finish, and one end', () => {
    assert.deepEqual(readPieces([fixture('text.sse')]), [
      { ...started, systemFingerprint: 'fp_a1' },
      { type: 'text-delta', choice: 0, text: 'Grüße ' },
      { type: 'text-delta', choice: 0, text: 'an 🦜, "model": [DONE] error ' },
      { type: 'text-delta', choice: 0, text: '日本' },
      { type: 'usage', usage: { promptTokens: 9, completionTokens: 4, cachedTokens: 2, reasoningTokens: 1 } },
      { type: 'finish', choice: 0, reason: 'stop' },
      { type: 'end' },
    ])
  })

  it('reasoning is read once under either name, and text is read from the chunk that finishes', () => {
    assert.deepEqual(readPieces([fixture('reasoning.sse')]), [
      started,
      { type: 'reasoning-delta', choice: 0, text: 'plan ' },
      { type: 'reasoning-delta', choice: 0, text: 'it' },
      { type: 'text-delta', choice: 0, text: 'Hi' },
      { type: 'text-delta', choice: 0, text: '!' },
      { type: 'usage', usage: { promptTokens: 9, completionTokens: 4 } },
      { type: 'finish', choice: 0, reason: 'length' },
      { type: 'end' },
    ])
  })

  it('interleaved parallel calls are kept apart, and missing arguments are filled in', () => {
    assert.deepEqual(readPieces([fixture('tools.sse')]), [
      started,
      { type: 'tool-call-start', choice: 0, call: 0, id: 'call_a', name: 'get_weather' },
      { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"city":' },
      { type: 'tool-call-start', choice: 0, call: 1, id: 'call_b', name: 'get_time' },
      { type: 'tool-call-delta', choice: 0, call: 0, arguments: '"Łódź"}' },
      { type: 'block-end', choice: 0, call: 0 },
      { type: 'tool-call-delta', choice: 0, call: 1, arguments: '{}' },
      { type: 'block-end', choice: 0, call: 1 },
      { type: 'finish', choice: 0, reason: 'tool_calls' },
      { type: 'end' },
    ])
  })

  it('the events of several choices are kept apart', () => {
    assert.deepEqual(readPieces([fixture('two-choices.sse')]), [
      started,
      {
        type: 'text-delta',
        choice: 0,
        text: 'Hi',
        logprobs: [{ token: 'Hi', logprob: -0.1, bytes: [72, 105], topLogprobs: [] }],
      },
      { type: 'text-delta', choice: 1, text: 'Ho' },
      { type: 'finish', choice: 0, reason: 'length' },
      { type: 'finish', choice: 1, reason: 'stop' },
      { type: 'end' },
    ])
  })

  it('a streamed refusal is read as a refusal', () => {
    const texts = readPieces([fixture('refusal.sse')]).filter((event) => event.type === 'refusal-delta')
    assert.deepEqual(
      texts.map((event) => event.text),
      ['I ', 'cannot'],
    )
  })
})

describe('splits, line endings and byte order marks', () => {
  for (const name of fixtures) {
    const bytes = fixture(name)
    const whole = readPieces([bytes])

    it(`${name} reads the same split at any byte`, () => {
      for (let at = 0; at <= bytes.length; at++)
        assert.deepEqual(readPieces(cutAt(bytes, at)), whole, `cut at ${at}`)
      assert.deepEqual(readPieces(singleBytes(bytes)), whole)
    })

    it(`${name} reads the same with CRLF, with CR and with a byte order mark`, () => {
      for (const lineEnd of ['\r\n', '\r']) {
        assert.deepEqual(readPieces([withLineEnds(bytes, lineEnd)]), whole)
        assert.deepEqual(readPieces(singleBytes(withLineEnds(bytes, lineEnd))), whole)
      }
      assert.deepEqual(readPieces([Buffer.concat([Buffer.from('\ufeff'), bytes])]), whole)
    })

    it(`${name} always ends with an error if it is cut off before its finish`, () => {
      const finish = Math.max(bytes.lastIndexOf('"finish_reason":"'), bytes.lastIndexOf('"finish_reason": "'))
      const before = name === 'error-vllm.sse' ? bytes.indexOf('data: {"error"') : finish
      for (let at = 0; at <= before; at++) {
        const events = readPieces([bytes.subarray(0, at)])
        assert.equal(lastOf(events)?.type, 'error', `cut off at ${at}`)
        assert.equal(events.filter(({ type }) => type === 'end' || type === 'error').length, 1)
      }
    })
  }

  it('a stream without an end marker is complete once every choice has finished', () => {
    const text = fixture('text.sse').toString()
    const afterFinish = text.indexOf('data: {', text.indexOf('"finish_reason":"stop"'))
    assert.equal(lastOf(readPieces([Buffer.from(text.slice(0, afterFinish))]))?.type, 'end')
    const unclosed = Buffer.from(text.slice(0, afterFinish - 2))
    assert.equal(lastOf(readPieces([unclosed]))?.type, 'end')
  })

  it('data after the end marker is not read', () => {
    const events = readPieces([fixture('refusal.sse'), fixture('text.sse')])
    assert.deepEqual(events, readPieces([fixture('refusal.sse')]))
  })

  it('the data lines of one event are joined, and keep-alive events are ignored', () => {
    const events = readPieces([
      Buffer.from(
        'event: ping\ndata: now\n\ndata: {"choices":[{"delta":\ndata: {"content":"a"},"finish_reason":"stop"}]}\n\n',
      ),
    ])
    assert.deepEqual(
      events.map(({ type }) => type),
      ['start', 'text-delta', 'finish', 'end'],
    )
  })
})

describe('ends that are failures', () => {
  it('an empty stream, a lone end marker and a lone role are failures', () => {
    assert.equal(causeCodeOf(readPieces([])), 'TRUNCATED')
    assert.equal(causeCodeOf(read('[DONE]')), 'TRUNCATED')
    assert.equal(causeCodeOf(read(delta({ role: 'assistant', content: '' }), '[DONE]')), 'TRUNCATED')
  })

  it('an end marker after content replaces a missing finish', () => {
    assert.deepEqual(read(delta({ content: 'a' }), '[DONE]').slice(-2), [
      { type: 'finish', choice: 0, reason: 'stop' },
      { type: 'end' },
    ])
    const called = read(fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }), '[DONE]')
    assert.deepEqual(called.at(-2), { type: 'finish', choice: 0, reason: 'tool_calls' })
  })

  it('an error in the stream overrides what follows, and its text is only in the cause', () => {
    const events = readPieces([fixture('error-vllm.sse')])
    const last = lastOf(events)
    assert.ok(last?.type === 'error')
    assert.equal(last.error.kind, 'upstream_error')
    assert.equal(last.error.code, 'upstream_error')
    assert.doesNotMatch(last.error.message, /10\.1\.2\.3/)
    assert.deepEqual(last.error.cause, {
      message: 'EngineCore at 10.1.2.3 died',
      type: 'InternalServerError',
      code: 500,
    })
  })

  it('errors are recognized in each of their forms', () => {
    for (const form of ['{"error":"boom"}', '{"object":"error","message":"boom"}', '{"type":"error"}']) {
      assert.equal(causeCodeOf(read(form)), 'UPSTREAM_ERROR', form)
    }
    assert.equal(causeCodeOf(readPieces([Buffer.from('event: error\ndata: boom\n\n')])), 'UPSTREAM_ERROR')
    assert.equal(lastOf(read({ ...delta({ content: 'a' }, 'stop'), error: null }, '[DONE]'))?.type, 'end')
  })

  it('a response that the engine aborted is a failure', () => {
    assert.equal(causeCodeOf(read(delta({ content: 'a' }), delta({}, 'abort'), '[DONE]')), 'UPSTREAM_ABORTED')
  })

  it('broken JSON and a line without an end are failures', () => {
    assert.equal(causeCodeOf(read('{"choices":[')), 'BAD_ANSWER')
    assert.equal(causeCodeOf(read('7')), 'BAD_ANSWER')
    const endless = Array.from({ length: 18 }, () => Buffer.alloc(1024 * 1024, 'a'))
    assert.equal(causeCodeOf(readPieces(endless)), 'BAD_ANSWER')
  })
})

it('a reader that has failed emits nothing more', () => {
  const reader = countingReader()
  const events: ChatEvent[] = []
  const emit = (event: ChatEvent): void => {
    events.push(event)
  }
  reader.push(Buffer.from('data: {"error":"x"}\n\n'), emit)
  reader.push(fixture('text.sse'), emit)
  reader.end(emit)
  assert.deepEqual(
    events.map(({ type }) => type),
    ['error'],
  )
})
