import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const chat = [
  { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }] },
]

/** Forms that vLLM accepts and OpenAI's API does not. */
const forms: [path: string, body: Record<string, unknown>][] = [
  ['/v1/embeddings', { messages: chat, encoding_format: 'float' }],
  ['/v1/embeddings', { input: ['a text', [1, 2, 3]] }],
  ['/v1/embeddings', { input: [{ content: [{ type: 'text', text: 'a' }] }] }],
  ['/v1/embeddings', { input: 'x', dimensions: '256' }],
  ['/v1/completions', { prompt_embeds: 'AAAA', max_tokens: 3 }],
  ['/v1/completions', { prompt: ['a', [1, 2]], logprobs: true }],
  ['/v1/chat/completions', { messages: [{ role: 'latest_reminder', content: 'x' }], stop: [1], n: 200 }],
  ['/v1/chat/completions', { messages: [{ role: 'user', content: { any: 'form' } }], logit_bias: [] }],
  ['/v1/responses', { input: [{ type: 7 }], tools: [{ name: 'x' }], top_logprobs: 50 }],
]

describe("a server of the client's dialect receives forms that the router does not know", () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream({ kind: 'reply', body: {} })
    const server = (api_type: string) => [
      {
        api_type,
        api_host: upstream.url,
        model_path: 'up-model',
        ...(api_type === 'vllm' ? { responses: true } : {}),
      },
    ]
    router = await startRouter({
      models: modelsConfig({
        m: server('vllm'),
        other: server('ollama'),
        both: [...server('ollama'), ...server('vllm')],
      }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  beforeEach(() => {
    const body = {
      object: 'list',
      model: 'up-model',
      data: [],
      choices: [{ index: 0, text: 'x', message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }],
      status: 'completed',
      output: [],
    }
    upstream.rescript({ kind: 'reply', body })
  })

  for (const [path, body] of forms) {
    test(`${path} with ${JSON.stringify(body).slice(0, 70)}`, async () => {
      const answer = await post(router.url + path, { model: 'm', ...body })
      assert.equal(answer.status, 200, answer.text)
      assert.equal(JSON.parse(answer.text).model, 'm')
      assert.deepEqual(upstream.requests.at(-1)?.body, { model: 'up-model', ...body })
      const asked = upstream.requests.length
      const refused = await post(router.url + path, { model: 'other', ...body })
      assert.equal(refused.status, 400, 'a server of another dialect does not receive it')
      assert.equal(JSON.parse(refused.text).error.type, 'invalid_request_error')
      assert.equal(upstream.requests.length, asked)
      assert.equal(
        (await post(router.url + path, { model: 'both', ...body })).status,
        200,
        'one of two servers can receive it',
      )
    })
  }

  test("an upstream's rejection is returned in its own words", async () => {
    upstream.rescript({ kind: 'reply', status: 400, body: { error: { message: 'temperature is too hot' } } })
    const messages = [{ role: 'user', content: 'x' }]
    const answer = await post(`${router.url}/v1/chat/completions`, {
      model: 'm',
      messages,
      temperature: 'hot',
    })
    assert.equal(answer.status, 400)
    assert.match(answer.text, /too hot/)
  })

  test('model and stream are validated, and a request without input is rejected', async () => {
    for (const [path, body, param] of [
      ['/v1/chat/completions', { model: 5, messages: [] }, 'model'],
      ['/v1/chat/completions', { model: 'm', messages: [], stream: 'yes' }, 'stream'],
      ['/v1/chat/completions', { model: 'm' }, 'messages'],
      ['/v1/completions', { model: 'm' }, 'prompt'],
      ['/v1/responses', { model: 'm', input: 'x', stream: 1 }, 'stream'],
      ['/v1/embeddings', { model: 'm' }, 'input'],
    ] as const) {
      const answer = await post(router.url + path, body)
      assert.equal(answer.status, 400, `${path} ${JSON.stringify(body)}`)
      assert.equal(JSON.parse(answer.text).error.param, param)
    }
  })

  test('base64 embeddings are forwarded unchanged, with the model renamed for the client', async () => {
    const bytes = Buffer.from('AACAPgAAAL8=', 'base64')
    const headers = {
      'content-type': 'application/octet-stream',
      metadata: JSON.stringify({ model: 'up-model', data: [{ index: 0 }], usage: { prompt_tokens: 4 } }),
    }
    upstream.rescript({ kind: 'stream', headers, pieces: [bytes] })
    const logged = router.requestLogged()
    const answer = await fetch(`${router.url}/v1/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', input: 'x', encoding_format: 'bytes' }),
    })
    assert.equal(answer.headers.get('content-type'), 'application/octet-stream')
    assert.equal(JSON.parse(answer.headers.get('metadata') ?? '').model, 'm')
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes)
    assert.equal((await logged).prompt_tokens, 4)
  })
})
