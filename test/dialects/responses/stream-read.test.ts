import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import { cutAt, singleBytes } from '../shared/codec.ts'
import { fixture, readPieces, streamOf } from './support.ts'

function call(number: number, id: string, name: string, ...pieces: string[]): ChatEvent[] {
  return [
    { type: 'tool-call-start', choice: 0, call: number, id, name },
    ...pieces.map(
      (json): ChatEvent => ({ type: 'tool-call-delta', choice: 0, call: number, arguments: json }),
    ),
    { type: 'block-end', choice: 0, call: number },
  ]
}

function thought(text: string): ChatEvent {
  return { type: 'reasoning-delta', choice: 0, text }
}

function text(value: string): ChatEvent {
  return { type: 'text-delta', choice: 0, text: value }
}

const start: ChatEvent = { type: 'start', id: 'resp_up1', created: 1_795_392_000 }

const whole: Record<string, ChatEvent[]> = {
  'text.sse': [
    start,
    text('Zażółć '),
    text('🦜'),
    text('\n"response" and "model":"x"'),
    { type: 'usage', usage: { promptTokens: 9, completionTokens: 4, cachedTokens: 2, reasoningTokens: 0 } },
    { type: 'finish', choice: 0, reason: 'stop' },
    { type: 'end' },
  ],
  'calls.sse': [
    start,
    thought('Think'),
    thought(' first'),
    thought('\n\nThen act'),
    ...call(0, 'call_up1', 'get_weather', '{"city":', '"Oslo"}'),
    ...call(1, 'call_up2', 'get_time', '{}'),
    { type: 'usage', usage: { promptTokens: 20, completionTokens: 12, cachedTokens: 0, reasoningTokens: 5 } },
    { type: 'finish', choice: 0, reason: 'tool_calls' },
    { type: 'end' },
  ],
  'incomplete.sse': [
    start,
    text('Once upon'),
    { type: 'usage', usage: { promptTokens: 5, completionTokens: 2, cachedTokens: 0, reasoningTokens: 0 } },
    { type: 'finish', choice: 0, reason: 'length' },
    { type: 'end' },
  ],
}

function causeCodeOf(events: readonly ChatEvent[]): string | undefined {
  const last = events.at(-1)
  return last?.type === 'error' ? last.error.causeCode : undefined
}

const created = { type: 'response.created', response: { id: 'resp_1', created_at: 1, output: [] } }

function item(index: number, members: object): Record<string, unknown> {
  return { output_index: index, item: { type: 'function_call', call_id: 'c', name: 'f', ...members } }
}

function completed(response: object = {}): Record<string, unknown> {
  return { type: 'response.completed', response: { status: 'completed', output: [], ...response } }
}

describe('recorded streams', () => {
  for (const [name, expected] of Object.entries(whole)) {
    const bytes = fixture(name)

    it(`${name} reads as the same events, split at any byte`, () => {
      assert.deepEqual(readPieces([bytes]), expected)
      for (let at = 0; at <= bytes.length; at++) {
        assert.deepEqual(readPieces(cutAt(bytes, at)), expected, `cut at ${at}`)
      }
      assert.deepEqual(readPieces(singleBytes(bytes)), expected)
    })

    it(`${name} is an error wherever it is cut off, and never an end`, () => {
      const terminal = bytes.lastIndexOf('event: ')
      for (let at = 0; at < terminal; at++) {
        const events = readPieces([bytes.subarray(0, at)])
        assert.equal(causeCodeOf(events), 'TRUNCATED', `cut off at ${at}`)
        assert.ok(!events.some(({ type }) => type === 'finish' || type === 'end'))
      }
    })
  }

  it('a failure of the upstream is an error whose text is withheld from the client', () => {
    const events = readPieces([fixture('failed.sse')])
    const last = events.at(-1)
    assert.equal(causeCodeOf(events), 'UPSTREAM_ERROR')
    assert.ok(last?.type === 'error' && !last.error.message.includes('10.0.0.7'))
    assert.match(JSON.stringify(last.error.cause), /10\.0\.0\.7/)
  })
})

describe('streams of other servers', () => {
  it('a call that is sent only when it is done is read from there', () => {
    const done = { type: 'response.output_item.done', ...item(0, { arguments: '{"a":1}' }) }
    const events = readPieces([streamOf(created, done, completed())])
    assert.deepEqual(events.slice(1, 4), call(0, 'c', 'f', '{"a":1}'))
  })

  it('a call without arguments gets an empty object, and one that never ends is closed', () => {
    const added = { type: 'response.output_item.added', ...item(0, { arguments: '' }) }
    const events = readPieces([streamOf(created, added, completed())])
    assert.deepEqual(events.slice(1, 4), call(0, 'c', 'f', '{}'))
  })

  it('a duplicate or missing id is replaced by a generated one', () => {
    const done = (index: number, id: string): Record<string, unknown> => ({
      type: 'response.output_item.done',
      ...item(index, { call_id: id, arguments: '{}' }),
    })
    const events = readPieces([streamOf(created, done(0, 'c'), done(1, 'c'), done(2, ''), completed())])
    const ids = events.flatMap((event) => (event.type === 'tool-call-start' ? [event.id] : []))
    assert.deepEqual(ids, ['c', 'made_0', 'made_1'])
  })

  it('arguments that are not an object are passed on as received, and a call without a name is ignored', () => {
    const done = { type: 'response.output_item.done', ...item(0, { arguments: '[1' }) }
    const events = readPieces([streamOf(created, done, completed())])
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'tool-call-delta' ? [event.arguments] : [])),
      ['[1'],
    )
    const nameless = { type: 'response.output_item.added', ...item(0, { name: '' }) }
    const piece = { type: 'response.function_call_arguments.delta', output_index: 0, delta: '{}' }
    const none = readPieces([streamOf(created, nameless, piece, completed())])
    assert.deepEqual(
      none.map(({ type }) => type),
      ['start', 'finish', 'end'],
    )
  })

  it('a response that is only in the last event is read from there', () => {
    const output = [
      { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'plan' }] },
      { type: 'message', content: [{ type: 'output_text', text: 'Hi' }] },
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
    ]
    const events = readPieces([streamOf(completed({ output }))])
    assert.deepEqual(events.slice(1, 6), [thought('plan'), text('Hi'), ...call(0, 'c', 'f', '{}')])
    assert.equal(events.at(-1)?.type, 'end')
  })

  it('text and reasoning that are sent only when they are done are read from there, and others only once', () => {
    const summary = (value: string) => ({
      type: 'reasoning',
      summary: [{ type: 'summary_text', text: value }],
    })
    const message = (...content: object[]) => ({ type: 'message', role: 'assistant', content })
    const part = (value: string) => ({ type: 'output_text', text: value })
    const done = (output_index: number, item: object) => ({
      type: 'response.output_item.done',
      output_index,
      item,
    })
    const call_1 = { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' }
    const output = [
      summary('Plan'),
      message(part('Hi'), { type: 'refusal', refusal: 'No' }),
      summary('More'),
      call_1,
    ]
    const streamed = { type: 'response.output_text.delta', output_index: 4, delta: 'Bye' }
    const events = readPieces([
      streamOf(
        { type: 'response.created', response: { id: 'resp_up1' } },
        ...output.map((item, index) => done(index, item)),
        { type: 'response.output_item.added', output_index: 4, item: message() },
        streamed,
        done(4, message(part('Bye'))),
        { type: 'response.completed', response: { id: 'resp_up1', status: 'completed', output } },
      ),
    ])
    assert.deepEqual(
      events.filter(({ type }) => type !== 'start' && type !== 'finish' && type !== 'end'),
      [
        thought('Plan'),
        text('Hi'),
        { type: 'refusal-delta', choice: 0, text: 'No' },
        thought('\n\nMore'),
        ...call(0, 'call_1', 'f', '{}'),
        text('Bye'),
      ],
    )
  })

  it('reasoning that is sent raw and as a summary is emitted once', () => {
    const events = readPieces([
      streamOf(
        created,
        { type: 'response.reasoning_text.delta', delta: 'raw' },
        { type: 'response.reasoning_summary_text.delta', delta: 'short' },
        completed(),
      ),
    ])
    assert.deepEqual(events.slice(1, 2), [thought('raw')])
    assert.ok(!events.some((event) => event.type === 'reasoning-delta' && event.text === 'short'))
  })

  it('each reasoning item is read in its own form', () => {
    const reasoning = (index: number, form: string, delta: string) => [
      { type: 'response.output_item.added', output_index: index, item: { type: 'reasoning', summary: [] } },
      { type: `response.${form}.delta`, output_index: index, delta },
    ]
    const items = [
      ...reasoning(0, 'reasoning_summary_text', 'plan'),
      ...reasoning(1, 'reasoning_text', 'more'),
    ]
    const events = readPieces([streamOf(created, ...items, completed())])
    assert.deepEqual(events.slice(1, 3), [thought('plan'), thought('\n\nmore')])
  })

  it('an error event, a broken event and a lone end marker are errors', () => {
    const error = streamOf(created, { type: 'error', code: 'server_error', message: 'x' })
    assert.equal(causeCodeOf(readPieces([error])), 'UPSTREAM_ERROR')
    assert.equal(causeCodeOf(readPieces([Buffer.from('data: {"type":"resp\n\n')])), 'BAD_ANSWER')
    assert.equal(causeCodeOf(readPieces([Buffer.from('data: [DONE]\n\n')])), 'TRUNCATED')
  })

  it('keep-alives and unknown events are ignored', () => {
    const unknown = streamOf(created, { type: 'response.web_search_call.searching' }, completed())
    const bytes = Buffer.concat([Buffer.from(': ping\n\nevent: ping\ndata: {}\n\n'), unknown])
    assert.deepEqual(
      readPieces([bytes]).map(({ type }) => type),
      ['start', 'finish', 'end'],
    )
  })

  it('data after the end is not read', () => {
    const more = { type: 'response.output_text.delta', delta: 'more' }
    assert.equal(readPieces([streamOf(created, completed(), more)]).at(-1)?.type, 'end')
  })
})
