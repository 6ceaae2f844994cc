import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ollama } from '../../../src/dialects/ollama/index.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import { everyCut, singleBytes } from '../shared/codec.ts'
import { fixture, fixtures, readChunks, readText } from './support.ts'

const created = Date.UTC(2026, 10, 23, 10) / 1000

/** Errors are compared by their cause code only. */
function plain(events: readonly ChatEvent[]): unknown[] {
  return events.map((event) => (event.type === 'error' ? { error: event.error.causeCode } : event))
}

function line(message: object, rest: object = { done: false }): string {
  return `${JSON.stringify({ model: 'm', message: { role: 'assistant', content: '', ...message }, ...rest })}\n`
}

const done = line({}, { done: true, done_reason: 'stop', eval_count: 1 })

test('text is emitted as deltas, then counts with durations, the finish and the end', () => {
  assert.deepEqual(readChunks([fixture('text')]), [
    { type: 'start', created },
    { type: 'text-delta', choice: 0, text: 'Zażółć' },
    { type: 'text-delta', choice: 0, text: ' 😀 "done":true' },
    { type: 'text-delta', choice: 0, text: 'error' },
    {
      type: 'usage',
      usage: { promptTokens: 9, completionTokens: 5 },
      timings: { totalNs: 900000000, loadNs: 100000000, promptNs: 200000000, completionNs: 500000000 },
    },
    { type: 'finish', choice: 0, reason: 'stop' },
    { type: 'end' },
  ])
})

test('reasoning comes first, and text on the last line is read', () => {
  assert.deepEqual(readChunks([fixture('thinking')]).slice(1), [
    { type: 'reasoning-delta', choice: 0, text: 'Two and' },
    { type: 'reasoning-delta', choice: 0, text: ' two.' },
    { type: 'text-delta', choice: 0, text: '4' },
    { type: 'text-delta', choice: 0, text: '.' },
    {
      type: 'usage',
      usage: { promptTokens: 12, completionTokens: 8 },
      timings: { totalNs: 700000000, promptNs: 100000000, completionNs: 400000000 },
    },
    { type: 'finish', choice: 0, reason: 'length' },
    { type: 'end' },
  ])
})

test('two calls on one line are two calls, whatever their index, and finish with tool_calls', () => {
  const events = readChunks([fixture('two-calls-one-line')])
  assert.deepEqual(events.slice(1, 7), [
    { type: 'tool-call-start', choice: 0, call: 0, id: 'call_a', name: 'weather' },
    {
      type: 'tool-call-delta',
      choice: 0,
      call: 0,
      arguments: '{"city":"Łódź","model":"llama3.2:3b","done":true}',
    },
    { type: 'block-end', choice: 0, call: 0 },
    { type: 'tool-call-start', choice: 0, call: 1, id: 'call_b', name: 'clock' },
    { type: 'tool-call-delta', choice: 0, call: 1, arguments: '{}' },
    { type: 'block-end', choice: 0, call: 1 },
  ])
  assert.deepEqual(events.slice(-2), [{ type: 'finish', choice: 0, reason: 'tool_calls' }, { type: 'end' }])
})

test('calls without ids get ids, including one on the last line', () => {
  const events = readChunks([fixture('calls-without-ids')])
  assert.deepEqual(
    events.map(({ type }) => type),
    [
      'start',
      'text-delta',
      'tool-call-start',
      'tool-call-delta',
      'block-end',
      'tool-call-start',
      'tool-call-delta',
      'block-end',
      'usage',
      'finish',
      'end',
    ],
  )
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'tool-call-start' ? [event.id] : [])),
    ['made_1', 'made_2'],
  )
})

test('generated ids differ from those received and have the usual form', () => {
  const call = (id?: string) => ({ ...(id ? { id } : {}), function: { name: 'f', arguments: {} } })
  const ids: string[] = []
  const reader = ollama.chat.createReader()
  const text = line({ tool_calls: [call('x'), call('x'), call()] }) + line({ tool_calls: [call('x')] })
  reader.push(Buffer.from(text), (event) => {
    if (event.type === 'tool-call-start') ids.push(event.id)
  })
  assert.equal(new Set(ids).size, 4)
  assert.equal(ids[0], 'x')
  for (const id of ids.slice(1)) assert.match(id, /^call_[0-9a-f]{24}$/)
})

test('token probabilities come with their text; those of a partial character wait for the whole one', () => {
  const deltas = readChunks([fixture('logprobs')]).filter((event) => event.type === 'text-delta')
  assert.deepEqual(
    deltas.map((delta) => delta.logprobs?.map(({ logprob, bytes }) => [logprob, bytes])),
    [
      [[-0.25, [72, 105]]],
      [
        [-0.5, [240, 159]],
        [-0.75, [152, 128]],
      ],
    ],
  )
  assert.deepEqual(deltas[0]?.logprobs?.[0]?.topLogprobs[1], { token: 'Ho', logprob: -1.5, bytes: [72, 111] })
})

test('an error line ends the stream with an error that has a fixed message', () => {
  const last = readChunks([fixture('error-line')]).at(-1)
  assert.ok(last?.type === 'error')
  assert.equal(last.error.kind, 'upstream_error')
  assert.equal(last.error.message, 'The upstream reported an error')
  assert.match(JSON.stringify(last.error.cause), /CUDA error/)
})

describe('streams split at any byte', () => {
  for (const name of fixtures) {
    const bytes = fixture(name)
    const expected = plain(readChunks([bytes]))

    test(`${name}: a split at any byte changes nothing`, () => {
      for (const chunks of everyCut(bytes)) assert.deepEqual(plain(readChunks(chunks)), expected)
    })

    test(`${name}: single bytes and CRLF yield the same events`, () => {
      assert.deepEqual(plain(readChunks(singleBytes(bytes))), expected)
      const crlf = Buffer.from(bytes.toString().replaceAll('\n', '\r\n'))
      assert.deepEqual(plain(readChunks(singleBytes(crlf))), expected)
    })

    test(`${name}: a close before the last line is complete is an error, never an end`, () => {
      for (let length = 0; length < bytes.length - 1; length++) {
        const events = readChunks([bytes.subarray(0, length)])
        assert.equal(events.at(-1)?.type, 'error', `at byte ${length}`)
        assert.equal(events.filter(({ type }) => type === 'error' || type === 'end').length, 1)
      }
    })
  }

  test('a last line without its line feed is complete', () => {
    const bytes = fixture('text')
    assert.deepEqual(readChunks([bytes.subarray(0, -1)]), readChunks([bytes]))
  })
})

describe('ends of a stream', () => {
  const last = (text: string) => plain(readText(text)).at(-1)

  test('data after the end is not read', () => {
    assert.deepEqual(readText(done + line({ content: 'more' }) + done), readText(done))
  })

  test('a close without a last line is a truncated stream', () => {
    assert.deepEqual(last(line({ content: 'Hi' })), { error: 'TRUNCATED' })
    assert.deepEqual(last(''), { error: 'TRUNCATED' })
  })

  test('a complete HTTP response without a last line ends a response that repeats itself', () => {
    const again = (...pieces: string[]): string => pieces.map((content) => line({ content })).join('')
    for (const repeated of [
      again('So', ' ha', ' ha', 'ha '),
      again('x', '\n', ' ', '\n\n'),
      again('Then: go on, go on, go on,'),
      line({ thinking: 'wait wait wait' }),
    ]) {
      assert.deepEqual(readText(repeated, true).slice(-2), [
        { type: 'finish', choice: 0, reason: 'length' },
        { type: 'end' },
      ])
      assert.equal(readText(repeated).at(-1)?.type, 'error')
    }
    for (const cut of ['', again('ha ha', ' ho'), `${again('ha', 'ha', 'ha')}{"mod`]) {
      assert.equal(readText(cut, true).at(-1)?.type, 'error')
    }
  })

  test('a done_reason without done is the end once the upstream closes, and not before', () => {
    const text = line({ content: 'Hi' }) + line({}, { done: false, done_reason: 'stop', eval_count: 2 })
    assert.equal(
      readChunks([Buffer.from(text)], false).some(({ type }) => type === 'finish'),
      false,
    )
    assert.deepEqual(readText(text).slice(-3), [
      { type: 'usage', usage: { promptTokens: 0, completionTokens: 2 } },
      { type: 'finish', choice: 0, reason: 'stop' },
      { type: 'end' },
    ])
    assert.deepEqual(last(`${text}{"mod`), { error: 'TRUNCATED' })
  })

  test('broken JSON, a line that is not an object and a malformed message are errors', () => {
    assert.deepEqual(last(`${line({ content: 'Hi' })}{"model"\n${done}`), { error: 'BAD_ANSWER' })
    assert.deepEqual(last(`<html>\n`), { error: 'BAD_ANSWER' })
    assert.deepEqual(last(`[]\n${done}`), { error: 'BAD_ANSWER' })
    assert.deepEqual(last(`{"a":1}{"a":2}\n${done}`), { error: 'BAD_ANSWER' })
    assert.deepEqual(last(line({ content: ['Hi'] }) + done), { error: 'BAD_ANSWER' })
  })

  test('an error is recognized in any form, including an object', () => {
    assert.deepEqual(last('{"error":{"message":"x"}}\n'), { error: 'UPSTREAM_ERROR' })
    assert.deepEqual(last(line({ content: 'Hi' }, { error: 'x', done: true })), { error: 'UPSTREAM_ERROR' })
  })

  test('a model that was only loaded gave no response', () => {
    assert.deepEqual(last(line({}, { done: true, done_reason: 'load' })), { error: 'EMPTY_PROMPT' })
    assert.deepEqual(last(line({}, { done: true, done_reason: '' })), { error: 'TRUNCATED' })
    assert.deepEqual(last(line({ content: 'Hi' }) + line({}, { done: true, done_reason: '' })), {
      type: 'end',
    })
  })

  test('blank lines are skipped', () => assert.deepEqual(readText(`\n  \r\n${done}`), readText(done)))

  test('a line without an end is an error, and memory stays bounded', () => {
    const chunk = Buffer.alloc(1024 * 1024, 'a')
    const events = readChunks(Array.from({ length: 20 }, () => chunk))
    assert.deepEqual(plain(events), [{ error: 'BAD_ANSWER' }])
  })

  test('arbitrary bytes yield exactly one end or error, as the last event', () => {
    const noise = Buffer.from(Array.from({ length: 2000 }, (_none, at) => (at * at * 31 + at * 7) % 256))
    for (const bytes of [noise, Buffer.from([0xff, 0x0a]), Buffer.from('null\n'), Buffer.from('\n\n')]) {
      const ends = readChunks([bytes]).map(({ type }) => type === 'end' || type === 'error')
      assert.equal(ends.indexOf(true), ends.length - 1)
    }
  })
})
