import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Ollama } from 'ollama'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type Behaviour, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const png = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1').toString('base64')
const head = { model: 'upstream-model', created_at: '2026-11-23T00:00:00.1Z' }
const end = {
  done: true,
  done_reason: 'stop',
  context: [1, 2],
  prompt_eval_count: 2,
  eval_count: 1,
  eval_duration: 5,
}

function generated(text: string): Behaviour {
  return { kind: 'reply', body: { ...head, response: text, ...end } }
}

function generatedStream(texts: readonly string[]): Behaviour {
  return upstreams.ollamaPieces([
    ...texts.map((response) => `${JSON.stringify({ ...head, response, done: false })}\n`),
    `${JSON.stringify({ ...head, response: '', ...end })}\n`,
  ])
}

describe('generate with the official Ollama client', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let client: Ollama

  before(async () => {
    upstream = await startUpstream(generated('unused'))
    const server = (type: string) => [
      { api_type: type, api_host: upstream.url, model_path: 'upstream-model' },
    ]
    router = await startRouter({
      models: modelsConfig({ llama: server('ollama'), box: server('vllm'), claude: server('anthropic') }),
    })
    client = new Ollama({ host: router.url })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const last = () => upstream.requests.at(-1) ?? assert.fail('no request reached the upstream')

  test('an Ollama server receives the request bytes unchanged, and its context is returned', async () => {
    upstream.rescript(generated('Hi'))
    const body =
      '{"model":"llama", "prompt":"Hello",  "context":[1,2], "template":"{{ .Prompt }}", "stream":false}'
    const answer = await post(`${router.url}/api/generate`, body)
    assert.equal(last().url, '/api/generate')
    assert.equal(last().raw.toString(), body.replace('"llama"', '"upstream-model"'))
    const { model, response, context } = JSON.parse(answer.text)
    assert.deepEqual([model, response, context], ['llama', 'Hi', [1, 2]])
  })

  test('a native stream is forwarded line by line with the model renamed', async () => {
    upstream.rescript(generatedStream(['Hi', ' there']))
    const parts = await Array.fromAsync(
      await client.generate({ model: 'llama', prompt: 'Hello', stream: true }),
    )
    assert.equal(parts.map(({ response }) => response).join(''), 'Hi there')
    assert.ok(parts.every(({ model }) => model === 'llama'))
    assert.equal(parts.at(-1)?.done, true)
  })

  test('a native stream that fails before its first content fails over or returns an error status', async () => {
    upstream.rescript(upstreams.ollamaPieces([`${JSON.stringify({ error: 'out of memory' })}\n`]))
    await assert.rejects(client.generate({ model: 'llama', prompt: 'Hello', stream: true }), {
      status_code: 502,
    })
  })

  test('a server of another dialect gets a chat with the system prompt and the images', async () => {
    upstream.rescript(upstreams.openaiText('Hi', { reasoning_content: 'Hm' }))
    const answer = await client.generate({
      model: 'box',
      prompt: 'What is this?',
      system: 'Be short',
      images: [png],
      options: { num_predict: 5 },
    })
    assert.equal(last().url, '/v1/chat/completions')
    assert.deepEqual(last().body, {
      model: 'upstream-model',
      messages: [
        { role: 'system', content: 'Be short' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
          ],
        },
      ],
      stream: false,
      max_tokens: 5,
    })
    assert.deepEqual(
      [answer.model, answer.response, answer.thinking, answer.done, answer.done_reason],
      ['box', 'Hi', 'Hm', true, 'stop'],
    )
    assert.deepEqual([answer.prompt_eval_count, answer.eval_count], [9, 3])
    assert.ok(answer.total_duration > 0)
    assert.ok(!('message' in answer))
  })

  test('a translated stream consists of generate lines and ends once', async () => {
    upstream.rescript(upstreams.openaiStream(['Hi', ' there']))
    const { text, headers } = await post(`${router.url}/api/generate`, { model: 'box', prompt: 'Hello' })
    assert.equal(headers.get('content-type'), 'application/x-ndjson')
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(
      lines.map(({ response, done }) => [response, done]),
      [
        ['Hi', false],
        [' there', false],
        ['', true],
      ],
    )
    assert.deepEqual([lines[2].done_reason, lines[2].eval_count], ['stop', 3])
  })

  test('a translated stream that is cut off ends with an error line, never with done', async () => {
    upstream.rescript({ kind: 'stream', pieces: [upstreams.openaiChunk({ content: 'Hi' })], ending: 'cut' })
    const { text } = await post(`${router.url}/api/generate`, { model: 'box', prompt: 'Hello' })
    assert.match(text, /"error":"/)
    assert.doesNotMatch(text, /"done":true/)
  })

  test('raw and suffix use completions where the server has them', async () => {
    upstream.rescript({
      kind: 'reply',
      body: { object: 'text_completion', choices: [{ text: ' = 1', index: 0, finish_reason: 'stop' }] },
    })
    const answer = await client.generate({
      model: 'box',
      prompt: 'x',
      raw: true,
      options: { temperature: 0 },
    })
    assert.equal(last().url, '/v1/completions')
    assert.deepEqual(last().body, { model: 'upstream-model', prompt: 'x', stream: false, temperature: 0 })
    assert.equal(answer.response, ' = 1')
    await client.generate({ model: 'box', prompt: 'x', suffix: 'y' })
    assert.equal((last().body as { suffix: string }).suffix, 'y')
    await assert.rejects(client.generate({ model: 'claude', prompt: 'x', raw: true }), {
      status_code: 400,
      message: /raw/,
    })
  })

  test('a raw completions stream is returned as generate lines', async () => {
    const piece = (text: string, finish: string | null) =>
      `data: ${JSON.stringify({ choices: [{ text, index: 0, finish_reason: finish }] })}\n\n`
    upstream.rescript({
      kind: 'stream',
      pieces: [piece('a', null), piece('b', 'stop'), upstreams.openaiDone],
    })
    const parts = await Array.fromAsync(
      await client.generate({ model: 'box', prompt: 'x', raw: true, stream: true }),
    )
    assert.equal(parts.map(({ response }) => response).join(''), 'ab')
    assert.equal(parts.at(-1)?.done, true)
  })

  test('a context for another dialect is rejected, and a template is reported as dropped', async () => {
    const body = { model: 'box', prompt: 'x', stream: false }
    const refused = await post(`${router.url}/api/generate`, { ...body, context: [1] })
    assert.equal(refused.status, 400)
    assert.match(JSON.parse(refused.text).error, /'context'/)
    upstream.rescript(upstreams.openaiText('Hi'))
    const answer = await post(`${router.url}/api/generate`, {
      ...body,
      context: [],
      template: '{{ .Prompt }}',
    })
    assert.equal(answer.headers.get('x-llm-router-lost'), 'template')
  })

  test('an empty prompt loads the model, and keep_alive 0 unloads it, without an upstream request', async () => {
    const before = upstream.requests.length
    const loaded = await client.generate({ model: 'box', prompt: '' })
    assert.deepEqual([loaded.response, loaded.done, loaded.done_reason], ['', true, 'load'])
    const unloaded = await client.generate({ model: 'box', prompt: '', keep_alive: 0 })
    assert.equal(unloaded.done_reason, 'unload')
    assert.equal(upstream.requests.length, before)
  })

  test('errors are plain text, with their status', async () => {
    await assert.rejects(client.generate({ model: 'none', prompt: 'x' }), {
      status_code: 404,
      message: /none/,
    })
    const wrong = await post(`${router.url}/api/generate`, { model: 'box', prompt: 5 })
    assert.deepEqual([wrong.status, typeof JSON.parse(wrong.text).error], [400, 'string'])
  })

  test("Ollama's paths are at the root, whatever the prefix", async (t) => {
    const models = modelsConfig({ demo: [{ api_type: 'mock', mock: { reply: 'Hi' } }] })
    const other = await startRouter({ env: { LLM_ROUTER_EP_PREFIX: '/llm' }, models })
    t.after(() => other.close())
    const plain = new Ollama({ host: other.url })
    assert.equal((await plain.generate({ model: 'demo', prompt: 'x' })).response, 'Hi')
    const { message } = await plain.chat({ model: 'demo', messages })
    assert.equal(message.content, 'Hi')
    const below = new Ollama({ host: `${other.url}/llm` })
    await assert.rejects(below.generate({ model: 'demo', prompt: 'x' }), { status_code: 404 })
    assert.equal((await post(`${other.url}/llm/generate`, { model: 'demo', prompt: 'x' })).status, 200)
  })
})
