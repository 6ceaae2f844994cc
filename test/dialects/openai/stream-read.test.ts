import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatEvent } from '../../../src/core/chat.ts'
import { countingReader, cutAt, fixture, readPieces, singleBytes, withLineEnds } from './replay.ts'

const fixtures = [
  'text.sse',
  'reasoning.sse',
  'tools.sse',
  'two-choices.sse',
  'refusal.sse',
  'error-vllm.sse',
]

function read(...events: (object | string)[]): ChatEvent[] {
  const lines = events.map((each) => `data: ${typeof each === 'string' ? each : JSON.stringify(each)}\n\n`)
  return readPieces([Buffer.from(lines.join(''))])
}

function delta(value: object, finish: string | null = null, index = 0): object {
  return { id: 'x', choices: [{ index, delta: value, finish_reason: finish }] }
}

function fragment(value: object): object {
  return delta({ tool_calls: [value] })
}

function lastOf(events: readonly ChatEvent[]): ChatEvent | undefined {
  return events.at(-1)
}

function causeCodeOf(events: readonly ChatEvent[]): string | undefined {
  const last = lastOf(events)
  return last?.type === 'error' ? last.error.causeCode : undefined
}

const started = { type: 'start', id: 'chatcmpl-up1', created: 1_795_392_000 }

describe('what an OpenAI stream says', () => {
  it('gives text, the counts before the finish, and one end', () => {
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

  it('takes thoughts under either name once, and text in the chunk that finishes', () => {
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

  it('keeps parallel calls apart when their arguments interleave, and fills in missing arguments', () => {
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

  it('keeps several answers apart', () => {
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

  it('gives a refusal as such', () => {
    const texts = readPieces([fixture('refusal.sse')]).filter((event) => event.type === 'refusal-delta')
    assert.deepEqual(
      texts.map((event) => event.text),
      ['I ', 'cannot'],
    )
  })
})

describe('cuts, line ends and marks', () => {
  for (const name of fixtures) {
    const bytes = fixture(name)
    const whole = readPieces([bytes])

    it(`${name} reads the same cut at any byte`, () => {
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

    it(`${name} never ends well when it is cut off before its finish`, () => {
      const finish = Math.max(bytes.lastIndexOf('"finish_reason":"'), bytes.lastIndexOf('"finish_reason": "'))
      const before = name === 'error-vllm.sse' ? bytes.indexOf('data: {"error"') : finish
      for (let at = 0; at <= before; at++) {
        const events = readPieces([bytes.subarray(0, at)])
        assert.equal(lastOf(events)?.type, 'error', `cut off at ${at}`)
        assert.equal(events.filter(({ type }) => type === 'end' || type === 'error').length, 1)
      }
    })
  }

  it('ends well without the end marker once every choice has finished', () => {
    const text = fixture('text.sse').toString()
    const afterFinish = text.indexOf('data: {', text.indexOf('"finish_reason":"stop"'))
    assert.equal(lastOf(readPieces([Buffer.from(text.slice(0, afterFinish))]))?.type, 'end')
    const unclosed = Buffer.from(text.slice(0, afterFinish - 2))
    assert.equal(lastOf(readPieces([unclosed]))?.type, 'end')
  })

  it('reads nothing after the end marker', () => {
    const events = readPieces([fixture('refusal.sse'), fixture('text.sse')])
    assert.deepEqual(events, readPieces([fixture('refusal.sse')]))
  })

  it('joins the data lines of one event and ignores keep-alive events', () => {
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

describe('ends that are none', () => {
  it('an empty stream, a lone end marker, and a role without more are failures', () => {
    assert.equal(causeCodeOf(readPieces([])), 'TRUNCATED')
    assert.equal(causeCodeOf(read('[DONE]')), 'TRUNCATED')
    assert.equal(causeCodeOf(read(delta({ role: 'assistant', content: '' }), '[DONE]')), 'TRUNCATED')
  })

  it('the end marker after content makes up for a missing finish', () => {
    assert.deepEqual(read(delta({ content: 'a' }), '[DONE]').slice(-2), [
      { type: 'finish', choice: 0, reason: 'stop' },
      { type: 'end' },
    ])
    const called = read(fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }), '[DONE]')
    assert.deepEqual(called.at(-2), { type: 'finish', choice: 0, reason: 'tool_calls' })
  })

  it('an error in the stream wins over what follows, and its text stays in the cause', () => {
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

  it('errors are known in each of their forms', () => {
    for (const form of ['{"error":"boom"}', '{"object":"error","message":"boom"}', '{"type":"error"}']) {
      assert.equal(causeCodeOf(read(form)), 'UPSTREAM_ERROR', form)
    }
    assert.equal(causeCodeOf(readPieces([Buffer.from('event: error\ndata: boom\n\n')])), 'UPSTREAM_ERROR')
    assert.equal(lastOf(read({ ...delta({ content: 'a' }, 'stop'), error: null }, '[DONE]'))?.type, 'end')
  })

  it('an answer that the engine gave up is a failure', () => {
    assert.equal(causeCodeOf(read(delta({ content: 'a' }), delta({}, 'abort'), '[DONE]')), 'UPSTREAM_ABORTED')
  })

  it('broken JSON and a line without end are failures', () => {
    assert.equal(causeCodeOf(read('{"choices":[')), 'BAD_ANSWER')
    assert.equal(causeCodeOf(read('7')), 'BAD_ANSWER')
    const endless = Array.from({ length: 18 }, () => Buffer.alloc(1024 * 1024, 'a'))
    assert.equal(causeCodeOf(readPieces(endless)), 'BAD_ANSWER')
  })
})

describe('tool calls of servers that differ', () => {
  it('a new id on the same index is a new call', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
      fragment({ index: 0, id: 'b', function: { name: 'g', arguments: '{}' } }),
      '[DONE]',
    )
    const starts = events.filter((event) => event.type === 'tool-call-start')
    assert.deepEqual(
      starts.map(({ call, id, name }) => ({ call, id, name })),
      [
        { call: 0, id: 'a', name: 'f' },
        { call: 1, id: 'b', name: 'g' },
      ],
    )
    assert.equal(events.filter((event) => event.type === 'block-end').length, 2)
  })

  it('calls without index and id are told apart by their names, and get ids of their own', () => {
    const events = read(
      fragment({ function: { name: 'f', arguments: '{"a":' } }),
      fragment({ function: { arguments: '1}' } }),
      fragment({ function: { name: 'f', arguments: '{}' } }),
      '[DONE]',
    )
    assert.deepEqual(
      events.filter((event) => event.type !== 'start' && event.type !== 'usage'),
      [
        { type: 'tool-call-start', choice: 0, call: 0, id: 'made_0', name: 'f' },
        { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"a":' },
        { type: 'tool-call-delta', choice: 0, call: 0, arguments: '1}' },
        { type: 'block-end', choice: 0, call: 0 },
        { type: 'tool-call-start', choice: 0, call: 1, id: 'made_1', name: 'f' },
        { type: 'tool-call-delta', choice: 0, call: 1, arguments: '{}' },
        { type: 'block-end', choice: 0, call: 1 },
        { type: 'finish', choice: 0, reason: 'tool_calls' },
        { type: 'end' },
      ],
    )
  })

  it('arguments that come before the name wait for it', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { arguments: '{"x"' } }),
      fragment({ index: 0, function: { name: 'f', arguments: ':1}' } }),
      '[DONE]',
    )
    assert.deepEqual(events.slice(1, 3), [
      { type: 'tool-call-start', choice: 0, call: 0, id: 'a', name: 'f' },
      { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"x":1}' },
    ])
  })

  it('arguments sent as an object become text, and null becomes an empty object', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } }),
      fragment({ index: 1, id: 'b', function: { name: 'g', arguments: 'null' } }),
      '[DONE]',
    )
    const told = events.filter((event) => event.type === 'tool-call-delta')
    assert.deepEqual(
      told.map((event) => event.arguments),
      ['{"x":1}', '{}'],
    )
  })

  it('a repeated id is replaced', () => {
    const events = read(
      fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
      fragment({ index: 1, id: 'a', function: { name: 'f', arguments: '{}' } }),
      '[DONE]',
    )
    const ids = events.filter((event) => event.type === 'tool-call-start').map(({ id }) => id)
    assert.deepEqual(ids, ['a', 'made_0'])
  })

  it('arguments that are no object, and a call without a name, are failures', () => {
    const cut = fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{"x":' } })
    assert.equal(causeCodeOf(read(cut, delta({}, 'length'), '[DONE]')), 'BAD_ANSWER')
    const nameless = fragment({ index: 0, id: 'a', function: { arguments: '{}' } })
    assert.equal(causeCodeOf(read(delta({ content: 'a' }), nameless, '[DONE]')), 'BAD_ANSWER')
  })

  it('the deprecated function_call is one call', () => {
    const events = read(
      delta({ function_call: { name: 'f', arguments: '' } }),
      delta({ function_call: { arguments: '{}' } }),
      delta({}, 'function_call'),
      '[DONE]',
    )
    assert.deepEqual(events.slice(1), [
      { type: 'tool-call-start', choice: 0, call: 0, id: 'made_0', name: 'f' },
      { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{}' },
      { type: 'block-end', choice: 0, call: 0 },
      { type: 'finish', choice: 0, reason: 'tool_calls' },
      { type: 'end' },
    ])
  })
})

it('a stop after tool calls is a finish by tool calls, and a token limit stays one', () => {
  const call = fragment({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } })
  assert.deepEqual(read(call, delta({}, 'stop'), '[DONE]').at(-2), {
    type: 'finish',
    choice: 0,
    reason: 'tool_calls',
  })
  assert.deepEqual(read(call, delta({}, 'length'), '[DONE]').at(-2), {
    type: 'finish',
    choice: 0,
    reason: 'length',
  })
})

it('a reader that has failed says nothing more', () => {
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
