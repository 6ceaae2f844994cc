import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openaiCompletion } from '../../../src/dialects/openai/completion/index.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import { context, cutAt, singleBytes } from '../shared/codec.ts'
import { passPieces, readPieces } from './replay.ts'

const codec = openaiCompletion.chat

function chunk(text: string, finish: string | null = null, logprobs: unknown = null): string {
  const choices = [{ text, index: 0, logprobs, finish_reason: finish }]
  return `data: ${JSON.stringify({ id: 'cmpl-1', object: 'text_completion', created: 7, model: 'up', choices })}\n\n`
}

const listed = { tokens: [' ż'], token_logprobs: [-0.5], top_logprobs: [{ ' ż': -0.5 }], text_offset: [0] }
const usage = 'data: {"model":"up","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
const stream = Buffer.from(
  `${chunk(' ż', null, listed)}${chunk('ółw')}${chunk('', 'length')}${usage}data: [DONE]\n\n`,
)

const events: ChatEvent[] = [
  { type: 'start', id: 'cmpl-1', created: 7 },
  {
    type: 'text-delta',
    choice: 0,
    text: ' ż',
    logprobs: [
      {
        token: ' ż',
        logprob: -0.5,
        bytes: null,
        topLogprobs: [{ token: ' ż', logprob: -0.5, bytes: null }],
      },
    ],
  },
  { type: 'text-delta', choice: 0, text: 'ółw' },
  { type: 'usage', usage: { promptTokens: 1, completionTokens: 2 } },
  { type: 'finish', choice: 0, reason: 'length' },
  { type: 'end' },
]

test('a completion stream reads the same wherever it is split', () => {
  for (let at = 0; at <= stream.length; at++) {
    assert.deepEqual(readPieces(cutAt(stream, at), codec.createReader()), events, `cut at ${at}`)
  }
  assert.deepEqual(readPieces(singleBytes(stream), codec.createReader()), events)
})

test('a completion stream passes through with only the model changed, wherever it is split', () => {
  const wanted = stream.toString().replaceAll('"up"', '"alias"')
  for (let at = 0; at <= stream.length; at++) {
    const { out, state } = passPieces(cutAt(stream, at))
    assert.equal(out, wanted, `cut at ${at}`)
    assert.ok(state.ended && state.content)
    assert.equal(state.usage?.completionTokens, 2)
  }
})

test('the first text of a stream is content, before any finish', () => {
  const passthrough = codec.createPassthrough({ model: 'alias', stripUsage: false, choices: 1 })
  passthrough.push(Buffer.from(chunk('')))
  assert.equal(passthrough.state.content, false)
  passthrough.push(Buffer.from(chunk('a')))
  assert.equal(passthrough.state.content, true)
})

test('written completion events read back as the same events', () => {
  const writer = codec.createWriter(context)
  const written = events.map((event) => writer.write(event)).join('')
  assert.deepEqual(readPieces([Buffer.from(written)], codec.createReader()), events)
})

test('reasoning and tool calls are omitted from a completion', () => {
  const writer = codec.createWriter(context)
  assert.equal(writer.write({ type: 'reasoning-delta', choice: 0, text: 'Hm' }), '')
  assert.equal(writer.write({ type: 'tool-call-start', choice: 0, call: 0, id: 'x', name: 'f' }), '')
  assert.match(writer.write({ type: 'finish', choice: 0, reason: 'tool_calls' }), /"finish_reason":"stop"/)
})

test('echo in a stream shifts the offsets of token probabilities by the prompt', () => {
  const writer = codec.createWriter({ ...context, request: { prompt: 'Ala', echo: true } })
  const [first, second] = events
    .slice(1, 3)
    .map((event) => JSON.parse(writer.write(event).slice('data: '.length)))
  assert.deepEqual([first.choices[0].text, first.choices[0].logprobs.text_offset], ['Ala ż', [3]])
  assert.equal(second.choices[0].text, 'ółw')
})

test('echo repeats the prompt even if the response has no text', () => {
  const writer = codec.createWriter({ ...context, request: { prompt: ['Ala'], echo: true } })
  assert.match(writer.write({ type: 'finish', choice: 0, reason: 'stop' }), /"text":"Ala"/)
})

test('the choices of a whole completion are kept apart', () => {
  const response = codec.readResponse({
    choices: [
      { text: 'b', index: 1, finish_reason: 'stop' },
      { text: 'a', index: 0, finish_reason: 'length' },
    ],
  })
  assert.deepEqual(
    response.choices.map(({ index, text, finishReason }) => [index, text, finishReason]),
    [
      [1, 'b', 'stop'],
      [0, 'a', 'length'],
    ],
  )
  assert.throws(() => codec.readResponse({ choices: {} }), { kind: 'upstream_error' })
})

test('chat defaults of the operator apply to a completion only if it has the field', () => {
  const defaults = { max_completion_tokens: 50, temperature: 0.5, tools: [], reasoning_effort: 'low' }
  assert.deepEqual(codec.missingDefaults({ temperature: 1 }, defaults), { max_tokens: 50 })
})

test('a request with several prompts is complete once all of them are', () => {
  const isComplete = (prompt: unknown, choices: number, finished: number): boolean => {
    const passthrough = codec.createPassthrough({
      model: 'alias',
      stripUsage: false,
      choices,
      request: { prompt },
    })
    const text = Array.from({ length: finished }, (_, index) =>
      chunk('a', 'stop').replace('"index":0', `"index":${index}`),
    )
    passthrough.push(Buffer.from(text.join('')))
    passthrough.end()
    return passthrough.state.failure === undefined
  }
  assert.deepEqual([isComplete(['a', 'b'], 2, 3), isComplete(['a', 'b'], 2, 4)], [false, true])
  assert.deepEqual([isComplete([[1], [2, 3]], 1, 1), isComplete([[1], [2, 3]], 1, 2)], [false, true])
  assert.equal(isComplete([1, 2, 3], 1, 1), true)
})
