import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createWriter } from '../../../src/dialects/openai/stream/write.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import { streamTruncated } from '../../../src/sdk/errors.ts'
import { context } from '../shared/codec.ts'
import { fixture, readPieces } from './replay.ts'

function write(events: readonly ChatEvent[], includeUsage = true): string {
  const writer = createWriter({ ...context, includeUsage })
  return events.map((event) => writer.write(event)).join('')
}

interface Chunk {
  id: string
  object: string
  created: number
  model: string
  choices: {
    index: number
    delta: Record<string, unknown>
    finish_reason: string | null
    logprobs: unknown
  }[]
  usage?: unknown
}

/** Each event must be one data line and an empty line. The end marker yields no chunk. */
function chunksOf(text: string): Chunk[] {
  const pieces = text.split('\n\n')
  assert.equal(pieces.pop(), '', 'the last event is closed')
  return pieces
    .map((piece) => {
      assert.ok(piece.startsWith('data: ') && !piece.includes('\n'))
      return piece.slice('data: '.length)
    })
    .filter((data) => data !== '[DONE]')
    .map((data): Chunk => JSON.parse(data))
}

function deltasOf(text: string): unknown[] {
  return chunksOf(text).flatMap(({ choices }) =>
    choices.map(({ index, delta, finish_reason }) => [index, delta, finish_reason]),
  )
}

const text: ChatEvent = { type: 'text-delta', choice: 0, text: 'Hi "🦜"' }
const call: ChatEvent[] = [
  { type: 'tool-call-start', choice: 0, call: 0, id: 'call_a', name: 'f' },
  { type: 'tool-call-delta', choice: 0, call: 0, arguments: '{"a":1}' },
  { type: 'block-end', choice: 0, call: 0 },
]

describe('chunks for the client', () => {
  it('a text becomes a role chunk, deltas, a finish, the token counts if requested, and the end marker', () => {
    const events: ChatEvent[] = [
      { type: 'start', id: 'chatcmpl-up', created: 7, systemFingerprint: 'fp' },
      text,
      { type: 'usage', usage: { promptTokens: 2, completionTokens: 3, cachedTokens: 1 } },
      { type: 'finish', choice: 0, reason: 'stop' },
      { type: 'end' },
    ]
    const head =
      '{"id":"chatcmpl-up","object":"chat.completion.chunk","created":7,"model":"alias","system_fingerprint":"fp","choices":'
    const choice = (delta: string, finish: string, usage: string): string =>
      `data: ${head}[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finish}}]${usage}}\n\n`
    const body = (usage: string): string =>
      choice('{"role":"assistant","content":""}', 'null', usage) +
      choice('{"content":"Hi \\"🦜\\""}', 'null', usage) +
      choice('{}', '"stop"', usage)
    const counts =
      '{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":1}}'
    assert.equal(
      write(events),
      `${body(',"usage":null')}data: ${head}[],"usage":${counts}}\n\ndata: [DONE]\n\n`,
    )
    assert.equal(write(events, false), `${body('')}data: [DONE]\n\n`)
  })

  it('a response without an id of this dialect gets one, the same in every chunk', () => {
    const chunks = chunksOf(
      write([{ type: 'start', id: 'resp_1' }, text, { type: 'finish', choice: 0, reason: 'stop' }]),
    )
    assert.equal(chunks.length, 3)
    for (const { id, created, model } of chunks) {
      assert.deepEqual(
        { id, created, model },
        { id: `chatcmpl-${context.id}`, created: context.created, model: 'alias' },
      )
    }
  })

  it('reasoning is sent under both names', () => {
    assert.deepEqual(deltasOf(write([{ type: 'reasoning-delta', choice: 0, text: 'hm' }])).at(-1), [
      0,
      { reasoning_content: 'hm', reasoning: 'hm' },
      null,
    ])
  })

  it('a tool call has its name once, and its fragments have only index and arguments', () => {
    const finish: ChatEvent = { type: 'finish', choice: 0, reason: 'stop' }
    assert.deepEqual(deltasOf(write([...call, finish])), [
      [0, { role: 'assistant', content: null }, null],
      [
        0,
        {
          tool_calls: [{ index: 0, id: 'call_a', type: 'function', function: { name: 'f', arguments: '' } }],
        },
        null,
      ],
      [0, { tool_calls: [{ index: 0, function: { arguments: '{"a":1}' } }] }, null],
      [0, {}, 'tool_calls'],
    ])
  })

  it('a call without arguments gets an empty object', () => {
    const start: ChatEvent = { type: 'tool-call-start', choice: 0, call: 1, id: 'b', name: 'g' }
    const events: ChatEvent[] = [...call, start, { type: 'block-end', choice: 0, call: 1 }]
    assert.deepEqual(deltasOf(write(events)).at(-1), [
      0,
      { tool_calls: [{ index: 1, function: { arguments: '{}' } }] },
      null,
    ])
  })

  it('each choice has its own role chunk', () => {
    const other: ChatEvent = { type: 'refusal-delta', choice: 1, text: 'No' }
    assert.deepEqual(deltasOf(write([text, other, { type: 'finish', choice: 2, reason: 'length' }])), [
      [0, { role: 'assistant', content: '' }, null],
      [0, { content: 'Hi "🦜"' }, null],
      [1, { role: 'assistant', content: '' }, null],
      [1, { refusal: 'No' }, null],
      [2, { role: 'assistant', content: '' }, null],
      [2, {}, 'length'],
    ])
  })

  it('token probabilities are sent with their text', () => {
    const logprobs = [{ token: 'a', logprob: -1, bytes: null, topLogprobs: [] }]
    const last = chunksOf(write([{ type: 'text-delta', choice: 0, text: 'a', logprobs }])).at(-1)
    assert.deepEqual(last?.choices[0]?.logprobs, {
      content: [{ token: 'a', logprob: -1, bytes: null, top_logprobs: [] }],
      refusal: null,
    })
  })

  it('an error is the last event: no finish, no end marker, nothing after it', () => {
    const events: ChatEvent[] = [{ type: 'error', error: streamTruncated() }, text, { type: 'end' }]
    assert.equal(
      write(events),
      'data: {"error":{"message":"Upstream closed the stream before it was complete","type":"server_error","param":null,"code":"upstream_truncated"}}\n\n',
    )
  })
})

it('events that are written read back as the same events', () => {
  // The end of a call is not transmitted; the reader emits it when it is known.
  const onWire = (event: ChatEvent): boolean => event.type !== 'block-end'
  for (const name of ['text.sse', 'reasoning.sse', 'tools.sse', 'two-choices.sse', 'refusal.sse']) {
    const events = readPieces([fixture(name)])
    const again = readPieces([Buffer.from(write(events))])
    assert.deepEqual(again.filter(onWire), events.filter(onWire), name)
  }
})
