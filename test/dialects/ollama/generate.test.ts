import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ollamaGenerate } from '../../../src/dialects/ollama/generate.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import { chatRequest, everyCut } from '../shared/codec.ts'
import { contextAt, passChunks, readChunks } from './support.ts'

const codec = ollamaGenerate.chat

const stream = Buffer.from(
  [
    { model: 'up', created_at: '2026-11-23T10:00:00.5Z', response: '', thinking: 'Hm', done: false },
    { model: 'up', created_at: '2026-11-23T10:00:00.6Z', response: 'żółw "done":true', done: false },
    {
      model: 'up',
      created_at: '2026-11-23T10:00:00.7Z',
      response: '',
      done: true,
      done_reason: 'length',
      prompt_eval_count: 2,
      eval_count: 3,
    },
  ]
    .map((line) => `${JSON.stringify(line)}\n`)
    .join(''),
)

const events: ChatEvent[] = [
  { type: 'start', created: Date.UTC(2026, 10, 23, 10) / 1000 },
  { type: 'reasoning-delta', choice: 0, text: 'Hm' },
  { type: 'text-delta', choice: 0, text: 'żółw "done":true' },
  { type: 'usage', usage: { promptTokens: 2, completionTokens: 3 } },
  { type: 'finish', choice: 0, reason: 'length' },
  { type: 'end' },
]

test('a generate stream reads the same wherever it is split', () => {
  for (const chunks of everyCut(stream)) assert.deepEqual(readChunks(chunks), events)
})

test('a generate stream passes through with only the model changed, wherever it is split', () => {
  const wanted = stream.toString().replaceAll('"up"', '"alias"')
  for (const chunks of everyCut(stream)) {
    const { out, state } = passChunks(chunks)
    assert.equal(out, wanted)
    assert.ok(state.ended && state.content)
    assert.deepEqual(state.usage, { promptTokens: 2, completionTokens: 3 })
  }
})

test('a stream has content from its first reasoning or text', () => {
  const [first = ''] = stream.toString().split('\n')
  assert.equal(passChunks([Buffer.from(`${first}\n`)], 'alias', false).state.content, true)
  const empty = first.replace('Hm', '')
  assert.equal(passChunks([Buffer.from(`${empty}\n`)], 'alias', false).state.content, false)
})

test('written events read back as the same events, with timings of their own', () => {
  const clock = { ms: 0 }
  const writer = codec.createWriter(contextAt(clock))
  let written = ''
  for (const event of events) {
    clock.ms += 10
    written += writer.write(event)
  }
  const read = readChunks([Buffer.from(written)])
  assert.deepEqual(
    read.map((event) => (event.type === 'usage' ? { type: event.type, usage: event.usage } : event)),
    events,
  )
  const last = JSON.parse(written.trim().split('\n').at(-1) ?? '')
  // The first content arrived at 20 ms, the end at 60 ms.
  assert.deepEqual([last.total_duration, last.prompt_eval_duration, last.eval_duration], [60e6, 20e6, 40e6])
})

test('a whole generate response has its text in response, and no context', () => {
  const response = codec.readResponse({
    response: 'Hi',
    thinking: 'Hm',
    done: true,
    done_reason: 'stop',
    eval_count: 1,
  })
  const written = codec.writeResponse(response, contextAt({ ms: 1 }))
  assert.deepEqual(
    [written.response, written.thinking, written.done_reason, written.message, written.context],
    ['Hi', 'Hm', 'stop', undefined, undefined],
  )
})

test('an error with a success status is an error', () => {
  assert.throws(() => codec.readResponse({ error: 'out of memory' }), { kind: 'upstream_error' })
})

test('raw and suffix mark a request that cannot be sent as a chat', () => {
  const completion = (body: object) =>
    codec.readRequest({ model: 'm', prompt: 'x', ...body }, false).completion
  assert.equal(completion({}), undefined)
  assert.equal(completion({ suffix: '', raw: false }), undefined)
  assert.deepEqual(completion({ raw: true }), { raw: true })
  assert.deepEqual(completion({ suffix: 'y' }), { raw: false, suffix: 'y' })
})

test('a written generate request has the prompt, the system text and the options', () => {
  const request = chatRequest({
    stream: false,
    messages: [
      { role: 'system', developer: false, parts: [{ type: 'text', text: 'Be short' }] },
      { role: 'user', parts: [{ type: 'text', text: 'Hi' }] },
    ],
    sampling: { temperature: 0, maxTokens: 5 },
    completion: { raw: true, suffix: '!' },
  })
  assert.deepEqual(
    codec.writeRequest(request, { model: 'up', flavour: {}, drop: () => assert.fail('a field was dropped') }),
    {
      model: 'up',
      prompt: 'Hi',
      system: 'Be short',
      stream: false,
      raw: true,
      suffix: '!',
      options: { temperature: 0, num_predict: 5 },
    },
  )
})
