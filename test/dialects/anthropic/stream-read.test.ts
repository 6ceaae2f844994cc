import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createReader } from '../../../src/dialects/anthropic/stream/read.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import { cutAt, singleBytes, withLineEnds } from '../shared/codec.ts'
import { fixture, fixtures, read, readPieces, sse } from './support.ts'

const start = {
  type: 'message_start',
  message: { id: 'msg_1', usage: { input_tokens: 1, output_tokens: 1 } },
}
const stop = { type: 'message_stop' }
const block = (content_block: object, index = 0) => ({ type: 'content_block_start', index, content_block })
const delta = (value: object, index = 0) => ({ type: 'content_block_delta', index, delta: value })
const text = (value: string) => delta({ type: 'text_delta', text: value })
const input = (partial_json: string, index = 0) => delta({ type: 'input_json_delta', partial_json }, index)
const end = (stop_reason: string) => ({
  type: 'message_delta',
  delta: { stop_reason },
  usage: { output_tokens: 2 },
})
const blockStop = (index = 0) => ({ type: 'content_block_stop', index })
const tool = (value: object = {}) =>
  block({ type: 'tool_use', id: 'toolu_1', name: 'f', input: {}, ...value })

function causeCodeOf(events: readonly ChatEvent[]): string | undefined {
  const last = events.at(-1)
  return last?.type === 'error' ? last.error.causeCode : undefined
}

describe('content of a stream', () => {
  it('a stream yields text, and token counts with the cached ones as part of the prompt', () => {
    const counts = { promptTokens: 32, cachedTokens: 20, cacheWriteTokens: 3 }
    assert.deepEqual(readPieces([fixture('text.sse')]), [
      { type: 'start', id: 'msg_up1' },
      { type: 'usage', usage: { ...counts, completionTokens: 1 } },
      { type: 'text-delta', choice: 0, text: 'Grüße ' },
      {
        type: 'text-delta',
        choice: 0,
        text: 'an 🦜, "model":"claude-up-1" event: error "error" message_stop ',
      },
      { type: 'text-delta', choice: 0, text: '日本' },
      { type: 'usage', usage: { ...counts, completionTokens: 7 } },
      { type: 'finish', choice: 0, reason: 'stop' },
      { type: 'end' },
    ])
  })

  it('a stream yields reasoning with its signature, and calls, including one without input', () => {
    const usage = { promptTokens: 9, completionTokens: 30, cachedTokens: 0, reasoningTokens: 4 }
    assert.deepEqual(readPieces([fixture('thinking-tools.sse')]).slice(2), [
      { type: 'reasoning-delta', choice: 0, text: 'plan ' },
      { type: 'reasoning-delta', choice: 0, text: 'it' },
      { type: 'reasoning-delta', choice: 0, text: '', signature: 'c2ln' },
      { type: 'text-delta', choice: 0, text: 'Let me look.' },
      { type: 'tool-call-start', choice: 0, call: 0, id: 'toolu_a', name: 'get_weather' },
      { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"city":' },
      { type: 'tool-call-delta', choice: 0, call: 0, arguments: '"Łódź"}' },
      { type: 'block-end', choice: 0, call: 0 },
      { type: 'tool-call-start', choice: 0, call: 1, id: 'toolu_b', name: 'get_time' },
      { type: 'tool-call-delta', choice: 0, call: 1, arguments: '{}' },
      { type: 'block-end', choice: 0, call: 1 },
      { type: 'usage', usage },
      { type: 'finish', choice: 0, reason: 'tool_calls' },
      { type: 'end' },
    ])
  })

  it('thoughts of several blocks are separated, and the signature of one does not sign the next', () => {
    const thinking = (text: string, index: number) => [
      block({ type: 'thinking', thinking: '', signature: '' }, index),
      delta({ type: 'thinking_delta', thinking: text }, index),
      delta({ type: 'signature_delta', signature: `c2ln${index}` }, index),
      blockStop(index),
    ]
    const thoughtsOf = (...values: Record<string, unknown>[]) =>
      read(start, ...values, end('end_turn'), stop).filter(({ type }) => type === 'reasoning-delta')
    const said = [block({ type: 'text', text: 'Hi' }, 2), blockStop(2)]
    const thought = (text: string) => ({ type: 'reasoning-delta', choice: 0, text })
    const [first, second, signature] = [
      thought('one'),
      thought('\n\ntwo'),
      { ...thought(''), signature: 'c2ln0' },
    ]
    assert.deepEqual(thoughtsOf(...thinking('one', 0), ...thinking('two', 1), ...said), [first, second])
    assert.deepEqual(thoughtsOf(...thinking('one', 0), ...said, ...thinking('two', 3)), [
      first,
      signature,
      second,
    ])
    assert.deepEqual(thoughtsOf(...thinking('one', 0)), [first, signature])
    const refused = {
      ...end('refusal'),
      delta: { stop_reason: 'refusal', stop_details: { explanation: 'no' } },
    }
    const order = read(start, ...thinking('one', 0), refused, stop).map(({ type }) => type)
    assert.ok(order.lastIndexOf('reasoning-delta') < order.indexOf('refusal-delta'))
  })

  it('a stream yields a refusal with its explanation, and the stop sequence that was hit', () => {
    assert.deepEqual(
      readPieces([fixture('refusal.sse')]).filter(
        ({ type }) => type === 'refusal-delta' || type === 'finish',
      ),
      [
        { type: 'refusal-delta', choice: 0, text: 'Not this.' },
        { type: 'finish', choice: 0, reason: 'content_filter' },
      ],
    )
    assert.deepEqual(
      readPieces([fixture('stop-sequence.sse')]).filter(
        ({ type }) => type === 'text-delta' || type === 'finish',
      ),
      [
        { type: 'text-delta', choice: 0, text: 'One' },
        { type: 'text-delta', choice: 0, text: ' two' },
        { type: 'finish', choice: 0, reason: 'stop', stopSequence: 'END' },
      ],
    )
  })

  it('every stop reason is read, and an unknown one is a normal end', () => {
    const reasonOf = (reason: string) => {
      const finish = read(start, block({ type: 'text', text: 'a' }), end(reason), stop).at(-2)
      return finish?.type === 'finish' ? finish.reason : undefined
    }
    assert.equal(reasonOf('end_turn'), 'stop')
    assert.equal(reasonOf('pause_turn'), 'stop')
    assert.equal(reasonOf('brand_new'), 'stop')
    assert.equal(reasonOf('max_tokens'), 'length')
    assert.equal(reasonOf('model_context_window_exceeded'), 'length')
  })

  it('the input in the start of a call is read unless deltas follow', () => {
    const jsonOf = (events: readonly ChatEvent[]) =>
      events.map((event) => (event.type === 'tool-call-delta' ? event.arguments : '')).join('')
    const given = tool({ input: { a: 1 } })
    assert.equal(jsonOf(read(start, given, blockStop(), end('tool_use'), stop)), '{"a":1}')
    assert.equal(jsonOf(read(start, given, input('{"b":2}'), blockStop(), end('tool_use'), stop)), '{"b":2}')
  })

  it('a tool name is restored to its original form', () => {
    const event = read(start, tool({ name: 'files-x2e-read' }), blockStop(), end('tool_use'), stop)[2]
    assert.ok(event?.type === 'tool-call-start')
    assert.equal(event.name, 'files.read')
  })

  it('pings, blocks of Anthropic’s own tools, unknown events and a repeated start are ignored', () => {
    const events = read(
      start,
      { type: 'ping' },
      block({ type: 'server_tool_use', id: 's', name: 'web_search', input: {} }),
      input('{"q":1}'),
      blockStop(),
      block({ type: 'text', text: '' }, 1),
      start,
      text('a'),
      { type: 'something_new' },
      end('end_turn'),
      stop,
      text('after the end'),
    )
    assert.deepEqual(
      events.map(({ type }) => type),
      ['start', 'usage', 'text-delta', 'usage', 'finish', 'end'],
    )
  })

  it('events without names are read by their type', () => {
    const nameless = Buffer.from(
      fixture('text.sse')
        .toString()
        .replaceAll(/^event: .*\n/gm, ''),
    )
    assert.deepEqual(readPieces([nameless]), readPieces([fixture('text.sse')]))
  })
})

describe('splits and line endings', () => {
  for (const name of fixtures) {
    const bytes = fixture(name)
    const whole = readPieces([bytes])

    it(`${name} reads the same split at any byte, with any line ending`, () => {
      for (let at = 0; at <= bytes.length; at++)
        assert.deepEqual(readPieces(cutAt(bytes, at)), whole, `cut at ${at}`)
      for (const lineEnd of ['\n', '\r\n', '\r'])
        assert.deepEqual(readPieces(singleBytes(withLineEnds(bytes, lineEnd))), whole)
    })

    it(`${name} always ends with an error if it is cut off before its end`, () => {
      const last = Math.max(
        bytes.lastIndexOf('data: {"type":"message_stop"}'),
        bytes.lastIndexOf('event: error'),
      )
      for (let at = 0; at <= last; at++) {
        const events = readPieces([bytes.subarray(0, at)])
        assert.equal(events.at(-1)?.type, 'error', `cut off at ${at}`)
        assert.equal(events.filter(({ type }) => type === 'end' || type === 'error').length, 1)
      }
    })
  }

  it('the last event counts even without the empty line after it', () => {
    const bytes = fixture('text.sse')
    assert.deepEqual(readPieces([bytes.subarray(0, -2)]), readPieces([bytes]))
  })
})

describe('failures', () => {
  it('an error in the stream keeps its text for the log, and its kind if a client can act on it', () => {
    const last = readPieces([fixture('error.sse')]).at(-1)
    assert.ok(last?.type === 'error')
    assert.equal(last.error.kind, 'overloaded')
    assert.doesNotMatch(last.error.message, /10\.1\.2\.3/)
    assert.deepEqual(last.error.cause, { message: 'node 10.1.2.3 is busy', type: 'overloaded_error' })
    const other = read(start, { type: 'error', error: { type: 'api_error', message: 'x' } }).at(-1)
    assert.ok(other?.type === 'error' && other.error.kind === 'upstream_error')
  })

  it('a stop reason without the end marker is not an end', () => {
    assert.equal(causeCodeOf(read(start, text('a'), end('end_turn'))), 'TRUNCATED')
  })

  it('an end marker without any content is an error, but an empty response is valid', () => {
    assert.equal(causeCodeOf(read(start, stop)), 'TRUNCATED')
    assert.equal(read(start, end('end_turn'), stop).at(-1)?.type, 'end')
  })

  it('truncated input of a call is passed on as received, and a call without a name is ignored', () => {
    const cut = read(start, tool(), input('{"a":'), blockStop(), end('max_tokens'), stop)
    assert.deepEqual(
      cut.filter(({ type }) => type !== 'start' && type !== 'usage'),
      [
        { type: 'tool-call-start', choice: 0, call: 0, id: 'toolu_1', name: 'f' },
        { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"a":' },
        { type: 'block-end', choice: 0, call: 0 },
        { type: 'finish', choice: 0, reason: 'length' },
        { type: 'end' },
      ],
    )
    const nameless = read(start, tool({ name: '' }), input('{}'), blockStop(), end('tool_use'), stop)
    assert.deepEqual(nameless.slice(-2), [{ type: 'finish', choice: 0, reason: 'stop' }, { type: 'end' }])
    assert.equal(
      nameless.some(({ type }) => type === 'tool-call-start'),
      false,
    )
  })

  it('input without a call, broken JSON and an endless line are failures', () => {
    assert.equal(causeCodeOf(read(start, input('{}', 4))), 'BAD_ANSWER')
    assert.equal(causeCodeOf(readPieces([Buffer.from('data: {"type":\n\n')])), 'BAD_ANSWER')
    const endless = Array.from({ length: 18 }, () => Buffer.alloc(1024 * 1024, 'a'))
    assert.equal(causeCodeOf(readPieces(endless)), 'BAD_ANSWER')
  })

  it('a reader that has failed emits nothing more', () => {
    const reader = createReader()
    const types: string[] = []
    const emit = (event: ChatEvent): void => {
      types.push(event.type)
    }
    reader.push(sse({ type: 'error', error: { type: 'api_error' } }), emit)
    reader.push(fixture('text.sse'), emit)
    reader.end(emit)
    assert.deepEqual(types, ['error'])
  })
})
