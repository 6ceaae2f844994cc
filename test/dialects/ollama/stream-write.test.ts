import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createWriter } from '../../../src/dialects/ollama/stream/write.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import { badRequest, RouterError } from '../../../src/sdk/errors.ts'
import { contextAt, fixture, readChunks } from './support.ts'

const finish: ChatEvent[] = [{ type: 'finish', choice: 0, reason: 'stop' }, { type: 'end' }]

function writeAll(events: readonly ChatEvent[], clock = { ms: 0 }): string {
  const writer = createWriter(contextAt(clock))
  return events.map((event) => writer.write(event)).join('')
}

function linesOf(text: string): Record<string, unknown>[] {
  assert.ok(text === '' || text.endsWith('\n'))
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

function call(json: string, index = 0): ChatEvent[] {
  return [
    { type: 'tool-call-start', choice: 0, call: index, id: `call_${index}`, name: 'f' },
    ...Array.from(
      json,
      (piece): ChatEvent => ({ type: 'tool-call-delta', choice: 0, call: index, arguments: piece }),
    ),
    { type: 'block-end', choice: 0, call: index },
  ]
}

test('each delta is a line of exactly Ollama’s members, with the time of sending', () => {
  const clock = { ms: 0 }
  const writer = createWriter(contextAt(clock))
  assert.equal(writer.write({ type: 'start' }), '')
  clock.ms = 100
  const reasoning = writer.write({ type: 'reasoning-delta', choice: 0, text: 'plan' })
  clock.ms = 200
  const text = writer.write({ type: 'text-delta', choice: 0, text: 'Zażółć "x"\n' })
  assert.deepEqual(linesOf(reasoning + text), [
    {
      model: 'alias',
      created_at: '2026-11-23T10:00:00.100Z',
      message: { role: 'assistant', content: '', thinking: 'plan' },
      done: false,
    },
    {
      model: 'alias',
      created_at: '2026-11-23T10:00:00.200Z',
      message: { role: 'assistant', content: 'Zażółć "x"\n' },
      done: false,
    },
  ])
})

test('the last line has the actual counts, and durations split at the first content', () => {
  const clock = { ms: 0 }
  const writer = createWriter(contextAt(clock))
  clock.ms = 300
  writer.write({ type: 'text-delta', choice: 0, text: 'Hi' })
  clock.ms = 1000
  writer.write({ type: 'usage', usage: { promptTokens: 9, completionTokens: 5 } })
  assert.equal(writer.write({ type: 'finish', choice: 0, reason: 'length' }), '')
  assert.deepEqual(linesOf(writer.write({ type: 'end' })), [
    {
      model: 'alias',
      created_at: '2026-11-23T10:00:01.000Z',
      message: { role: 'assistant', content: '' },
      done: true,
      done_reason: 'length',
      total_duration: 1_000_000_000,
      prompt_eval_count: 9,
      prompt_eval_duration: 300_000_000,
      eval_count: 5,
      eval_duration: 700_000_000,
    },
  ])
})

test('the engine’s own durations take precedence, and no duration is zero if tokens were counted', () => {
  const usage = { promptTokens: 1, completionTokens: 2 }
  const timings = { totalNs: 70, loadNs: 10, promptNs: 0, completionNs: 40 }
  const last = linesOf(writeAll([{ type: 'usage', usage, timings }, ...finish], { ms: 5 })).at(-1)
  assert.equal(last?.total_duration, 70)
  assert.equal(last?.load_duration, 10)
  assert.equal(last?.prompt_eval_duration, 1)
  assert.equal(last?.eval_duration, 40)
})

test('a call is sent whole when it is complete, with its arguments as an object', () => {
  const writer = createWriter(contextAt({ ms: 0 }))
  const written = [...call('{"city": "Łódź",\n "n": 12345678901234567890}', 0), ...call('', 1)].map((event) =>
    writer.write(event),
  )
  assert.equal(written.filter((text) => text !== '').length, 2)
  const [first, second] = linesOf(written.join(''))
  assert.deepEqual(first?.message, {
    role: 'assistant',
    content: '',
    tool_calls: [
      {
        id: 'call_0',
        function: { index: 0, name: 'f', arguments: { city: 'Łódź', n: Number('12345678901234567890') } },
      },
    ],
  })
  assert.match(written.join(''), /12345678901234567890/)
  assert.deepEqual(second?.message, {
    role: 'assistant',
    content: '',
    tool_calls: [{ id: 'call_1', function: { index: 1, name: 'f', arguments: {} } }],
  })
  const done = linesOf(
    writer.write({ type: 'finish', choice: 0, reason: 'tool_calls' }) + writer.write({ type: 'end' }),
  )
  assert.equal(done[0]?.done_reason, 'stop')
})

for (const [json, sent] of [
  ['{"city":"Łó', '{"city":"Łó"}'],
  ['{"city":', '{}'],
  ['[1]', '{"invalid_arguments":"[1]"}'],
]) {
  test(`arguments that are not an object are sent as far as they were received: ${json}`, () => {
    const cut: ChatEvent[] = [{ type: 'finish', choice: 0, reason: 'length' }, { type: 'end' }]
    const lines = writeAll([...call(json ?? ''), ...cut])
    assert.ok(lines.includes(`"arguments":${sent}`), lines)
    assert.equal(linesOf(lines).at(-1)?.done_reason, 'length')
  })
}

test('a context overflow has Ollama’s own wording', () => {
  const error = new RouterError('context_overflow', 'too many tokens')
  assert.equal(
    writeAll([{ type: 'error', error }]),
    '{"error":"the input length exceeds the context length: too many tokens"}\n',
  )
})

test('an error is a single line, and nothing follows it', () => {
  const events: ChatEvent[] = [{ type: 'error', error: badRequest('No "such" thing') }, ...finish]
  assert.equal(writeAll(events), '{"error":"No \\"such\\" thing"}\n')
})

test('nothing follows the end', () => {
  assert.equal(
    linesOf(writeAll([...finish, { type: 'text-delta', choice: 0, text: 'x' }, ...finish])).length,
    1,
  )
})

test('choices other than the first are dropped', () => {
  const events: ChatEvent[] = [
    { type: 'text-delta', choice: 1, text: 'other' },
    { type: 'finish', choice: 1, reason: 'length' },
    ...finish,
  ]
  const [only, ...more] = linesOf(writeAll(events))
  assert.equal(only?.done_reason, 'stop')
  assert.deepEqual(more, [])
})

test('a refusal becomes content, and token probabilities are beside the message', () => {
  const logprobs = [{ token: 'N', logprob: -1, bytes: [78], topLogprobs: [] }]
  const [refusal, text] = linesOf(
    writeAll([
      { type: 'refusal-delta', choice: 0, text: 'No' },
      { type: 'text-delta', choice: 0, text: 'N', logprobs },
    ]),
  )
  assert.deepEqual(refusal?.message, { role: 'assistant', content: 'No' })
  assert.deepEqual(text?.logprobs, [{ token: 'N', logprob: -1, bytes: [78] }])
})

test('Unicode line separators are escaped, because line readers of Python split there', () => {
  const odd = 'a\u2028b\u2029c\u0085d'
  const written = writeAll([{ type: 'text-delta', choice: 0, text: odd }, ...call(JSON.stringify({ odd }))])
  assert.equal(/[\u2028\u2029\u0085]/.test(written), false)
  const [text, tool] = linesOf(written)
  assert.deepEqual(text?.message, { role: 'assistant', content: odd })
  assert.match(JSON.stringify(tool), new RegExp(odd))
})

describe('streams read from an upstream and written back are the same conversation', () => {
  for (const name of ['text', 'thinking', 'two-calls-one-line', 'logprobs'] as const) {
    test(name, () => {
      const events = readChunks([fixture(name)])
      const again = readChunks([Buffer.from(writeAll(events))])
      const timeless = (list: ChatEvent[]) => list.filter(({ type }) => type !== 'start')
      assert.deepEqual(timeless(again), timeless(events))
    })
  }
})
