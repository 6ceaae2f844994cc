import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SseReader } from '../../src/lib/bytes/sse.ts'
import { anthropicEvent } from '../helpers/anthropic-answers.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  ollamaLine,
  openaiChunk,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  const server = { api_host: upstream.url, model_path: upstreamModel }
  router = await startRouter({
    models: modelsConfig({
      openai: [{ ...server, id: 'openai', api_type: 'vllm' }],
      anthropic: [{ ...server, id: 'anthropic', api_type: 'anthropic' }],
      ollama: [{ ...server, id: 'ollama', api_type: 'ollama' }],
      responses: [{ ...server, id: 'responses', api_type: 'openai', responses: true }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

const long = 'x'.repeat(200_000)

const dialects: { name: string; path: string; body: object; pieces: readonly string[]; error: string }[] = [
  {
    name: 'openai',
    path: '/v1/chat/completions',
    body: { messages },
    pieces: [openaiChunk({ content: 'a' }), openaiChunk({ content: long })],
    error: 'upstream_truncated',
  },
  {
    name: 'anthropic',
    path: '/v1/messages',
    body: { messages, max_tokens: 9 },
    pieces: [
      { type: 'message_start', message: { id: 'msg_1', model: upstreamModel, usage: { input_tokens: 1 } } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'a' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: long } },
    ].map(anthropicEvent),
    error: 'api_error',
  },
  {
    name: 'ollama',
    path: '/api/chat',
    body: { messages },
    pieces: [ollamaLine({ content: 'a' }), ollamaLine({ content: long })],
    error: 'Upstream closed the stream before it was complete',
  },
  {
    name: 'responses',
    path: '/v1/responses',
    body: { input: 'hi' },
    pieces: [
      { type: 'response.created', response: { id: 'resp_1', model: upstreamModel, output: [] } },
      { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: 'a' },
      { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: long },
    ].map(anthropicEvent),
    error: 'server_error',
  },
]

/** The data of the last event that a parser finds. */
function lastEvent(text: string, isLines: boolean): string {
  if (isLines) return text.trimEnd().split('\n').at(-1) ?? ''
  let last = ''
  const reader = new SseReader()
  // Excludes an unterminated event: a browser drops what no empty line follows.
  reader.push(Buffer.from(text), ({ data }) => {
    last = data
  })
  return last
}

for (const { name, path, body, pieces, error } of dialects) {
  const whole = pieces.join('')
  const begun = pieces.slice(0, -1).join('')
  const cutAt = begun.length + 150_000
  const lineCut = whole.length - 1
  for (const [what, end, lineEnd] of [
    ['in its middle', cutAt, '\n'],
    ['in its middle, with line ends of two bytes', cutAt, '\r\n'],
    ['before its empty line', lineCut, '\n'],
  ] as const) {
    for (const ending of ['end', 'cut'] as const) {
      test(`${name}: the error after an event of 200 KB that ends ${what} (${ending}) can be parsed`, async () => {
        const bytes = whole.slice(0, end).replaceAll('\n', lineEnd)
        const behaviour: Behaviour = {
          kind: 'stream',
          headers: { 'content-type': name === 'ollama' ? 'application/x-ndjson' : 'text/event-stream' },
          pieces: [bytes],
          ending,
        }
        upstream.rescript(behaviour)
        const { status, text } = await post(router.url + path, { ...body, model: name, stream: true })
        assert.equal(status, 200)
        const last = lastEvent(text, name === 'ollama')
        if (name === 'ollama' && what === 'before its empty line') {
          // A line without its line feed is complete, and only the end of the stream is missing.
          assert.match(text, new RegExp(error))
          return
        }
        assert.ok(last.includes(error), last.slice(0, 300))
        assert.doesNotThrow(() => JSON.parse(last))
      })
    }
  }
}

test('a whole answer that is too large to be buffered and breaks off never ends cleanly', async () => {
  const body = `{"model":"${upstreamModel}","choices":[{"message":{"content":"${'x'.repeat(17 * 1024 * 1024)}`
  for (const ending of ['end', 'cut'] as const) {
    upstream.rescript({
      kind: 'stream',
      headers: { 'content-type': 'application/json' },
      pieces: [body],
      ending,
    })
    await assert.rejects(post(`${router.url}/v1/chat/completions`, { messages, model: 'openai' }))
  }
})
