import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnswerFacts, AnswerScan } from '../../../src/plugins/tracing/attempt-span.ts'

function factsOf(dialect: string, chunks: readonly string[]): AnswerFacts {
  const scan = new AnswerScan(dialect)
  for (const chunk of chunks) scan.push(Buffer.from(chunk))
  return scan.facts
}

const openai =
  'data: {"id":"chatcmpl-1","model":"org/m","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n' +
  'data: {"id":"chatcmpl-1","model":"org/m","choices":[{"index":0,"delta":{},"finish_reason": "length","stop_reason":"canary"}]}\n\n' +
  'data: [DONE]\n\n'

test('model, id and finish reasons of a stream are found wherever it is split', () => {
  const wanted = { id: 'chatcmpl-1', model: 'org/m', finishReasons: ['length'] }
  for (let at = 0; at <= openai.length; at++) {
    assert.deepEqual(factsOf('openai', [openai.slice(0, at), openai.slice(at)]), wanted, `cut at ${at}`)
  }
  assert.deepEqual(factsOf('openai', [...openai]), wanted, 'byte by byte')
})

test('each dialect has its own finish reasons', () => {
  const anthropic =
    'data: {"type":"message_start","message":{"id":"msg_1","type":"message","model":"claude","stop_reason":null}}\n\n' +
    'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null}}\n\n'
  assert.deepEqual(factsOf('anthropic', [anthropic]), {
    id: 'msg_1',
    model: 'claude',
    finishReasons: ['end_turn'],
  })
  const ollama =
    '{"model":"llama","message":{"tool_calls":[{"id":"call_1"}]},"done":true,"done_reason":"stop"}\n'
  assert.deepEqual(factsOf('ollama', [ollama]), { model: 'llama', finishReasons: ['stop'] })
})

test('several choices have several finish reasons', () => {
  const choices = ['stop', 'length'].map((reason, index) => ({ index, finish_reason: reason }))
  assert.deepEqual(factsOf('openai', [JSON.stringify({ choices })]).finishReasons, ['stop', 'length'])
})

test('metadata within the generated text is ignored', () => {
  const text = '"id":"chatcmpl-2","model":"other","finish_reason":"stop"'
  const answer = JSON.stringify({ choices: [{ message: { content: text } }] })
  assert.deepEqual(factsOf('openai', [answer]), { finishReasons: [] })
})

test('only the beginning and the end of a large response are searched', () => {
  const vectors = `"data":"${'x'.repeat(500_000)}"`
  const ends = `{"id":"chatcmpl-1",${vectors},"model":"m"}`
  assert.deepEqual(factsOf('openai', [ends]), { id: 'chatcmpl-1', model: 'm', finishReasons: [] })
  const middle = `{"id":"chatcmpl-1",${vectors},"model":"m",${vectors}}`
  assert.deepEqual(factsOf('openai', [middle]), { id: 'chatcmpl-1', finishReasons: [] })
})

test('an unterminated value is ignored, however long it is', () => {
  assert.deepEqual(factsOf('openai', [`{"model":"${'m'.repeat(300)}"}`]), { finishReasons: [] })
})
