import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiChunk,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const prompt = 'my secret is that the moon is a lamp\nand "nobody" knows it: zażółć gęślą jaźń'
const token = 'canary-token-of-the-router'

let upstream: ScriptedUpstream
let router: TestRouter
/** Each request has its own model, so that no failure pauses the target of another one. */
let models = 0

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  const at = { api_host: upstream.url, model_path: 'org/upstream-model-with-a-long-name', api_token: token }
  const all = (api_type: string) =>
    Array.from({ length: 80 }, (_, index): [string, object[]] => [
      `${api_type}-${index}`,
      [{ id: `${api_type}-${index}`, api_type, ...at }],
    ])
  router = await startRouter({
    models: modelsConfig({
      ...Object.fromEntries([...all('vllm'), ...all('ollama')]),
      two: ['first', 'second'].map((id) => ({ id, api_type: 'vllm', ...at })),
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

interface Asked {
  path?: string
  type?: 'vllm' | 'ollama'
  content?: unknown
  status?: number
  stream?: boolean
}

/** What the client receives and the log records for a request that an upstream answers with this. */
async function ask(
  answer: unknown,
  { path = '/v1/chat/completions', type = 'vllm', content = prompt, status = 500, stream }: Asked = {},
): Promise<{ line: Record<string, unknown>; text: string; status: number; headers: Headers }> {
  const index = models++
  upstream.rescript({ kind: 'reply', status, body: answer })
  const id = `texts-${index}`
  const body = {
    model: `${type}-${index}`,
    messages: [{ role: 'user', content }],
    input: content,
    stream,
    max_tokens: 9,
  }
  const headers = { 'x-request-id': id, 'content-type': 'application/json' }
  const response = await post(router.url + path, body, headers)
  return { ...response, line: await router.requestLogged(id) }
}

const said = (message: unknown) => ({ error: { message, code: 500, type: 'server_error' } })

describe('the error text of an upstream', () => {
  const image = 'image input is not supported - hint: you may need to provide the mmproj'

  test('is in the log and not in the response', async () => {
    for (const [body, asked] of [
      [said(image), {}],
      [{ error: image }, {}],
      [{ detail: image }, { status: 503 }],
      [image, {}],
      [{ error: image }, { type: 'ollama', path: '/api/chat' }],
      [said(image), { path: '/v1/messages' }],
      [said(image), { path: '/v1/embeddings' }],
      [said(image), { path: '/v1/rerank' }],
      [said(image), { stream: true }],
      [said(image), { status: 200 }],
      [said(image), { status: 200, path: '/v1/messages' }],
      [said(image), { status: 200, path: '/v1/embeddings' }],
    ] as [unknown, Asked][]) {
      const { line, text, status } = await ask(body, asked)
      assert.ok(status >= 500, `${status} ${text}`)
      assert.equal(line.upstream_text, image, JSON.stringify({ body, asked, line }))
      assert.doesNotMatch(text, /image input/)
    }
  })

  test('is in the log if it came in a stream, also after content', async () => {
    for (const pieces of [[], [openaiChunk({ content: 'Hi' })]]) {
      const index = models++
      const event = `data: ${JSON.stringify(said(image))}\n\n`
      upstream.rescript({ kind: 'stream', pieces: [...pieces, event] })
      const id = `texts-${index}`
      const asked = { model: `vllm-${index}`, messages: [{ role: 'user', content: prompt }], stream: true }
      const headers = { 'x-request-id': id, 'content-type': 'application/json' }
      const { text } = await post(`${router.url}/v1/chat/completions`, asked, headers)
      assert.equal((await router.requestLogged(id)).upstream_text, image)
      assert.doesNotMatch(text, /image input/)
    }
  })

  test('is in the log line of a failover', async () => {
    upstream.rescript([{ kind: 'reply', status: 500, body: said(image) }, openaiText('Hi')])
    const answer = await post(`${router.url}/v1/chat/completions`, {
      model: 'two',
      messages: [{ role: 'user', content: prompt }],
    })
    assert.equal(answer.status, 200)
    const failover = await router.logged(({ msg, model }) => msg === 'failover' && model === 'two')
    assert.equal(failover.upstream_text, image)
  })

  test("has 300 characters at most, and the client's name of the model", async () => {
    const { line } = await ask(said(`no ${'word '.repeat(200)}`))
    assert.equal(String(line.upstream_text).length, 300)
    const named = await ask(said('model org/upstream-model-with-a-long-name crashed'))
    assert.equal(named.line.upstream_text, `model ${named.line.model} crashed`)
  })

  test('is omitted if it repeats 20 characters of the request, at any position and in any encoding', async () => {
    const parts = [{ type: 'text', text: prompt }]
    for (const [echo, asked] of [
      ['cannot parse: my secret is that the moon is a lamp', {}],
      ['s that the moon is a', {}],
      ['is that the moon is  shining', { content: parts }],
      ['bad input: zażółć gęślą jaźń', {}],
      ['lamp and "nobody" knows it', {}],
      ['{"role":"user","content":"my', {}],
      ['the moon is a lamp and "nobody"', { type: 'ollama', path: '/api/chat' }],
      ['is that the moon is a', { path: '/v1/embeddings' }],
      ['is that the moon is a', { path: '/v1/messages' }],
      [`${'padding '.repeat(34)}is that the moon is a lamp`, {}],
    ] as [string, Asked][]) {
      const { line } = await ask(said(echo), asked)
      assert.ok(!('upstream_text' in line), echo)
      assert.equal(line.error_cause, 'HTTP_500')
    }
    // Fewer than 20 matching characters may be logged.
    const { line } = await ask(said('is that the moon isn'))
    assert.equal(line.upstream_text, 'is that the moon isn')
  })

  test('is omitted if it contains part of an image or a secret', async () => {
    const data = Buffer.alloc(60_000, 'abcdefghij klmnop').toString('base64')
    const content = [{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }]
    const echo = await ask(said(`invalid image ${data.slice(500, 530)}`), { content })
    assert.ok(!('upstream_text' in echo.line))
    const { line } = await ask(said(image), { content })
    assert.equal(line.upstream_text, image)
    for (const secret of [`bad token ${token}`, 'in /srv/models/x/weights', 'at http://10.0.0.1/v1'])
      assert.ok(!('upstream_text' in (await ask(said(secret))).line), secret)
    assert.ok(!JSON.stringify(router.logs).includes(token))
  })

  test('is checked in a time that does not depend on the size of the request', async () => {
    for (const content of [
      'a'.repeat(9_000_000),
      'a '.repeat(400_000),
      Array(50_000).fill({ type: 'text', text: 'x' }),
    ]) {
      const started = performance.now()
      const { line } = await ask(said(`a${' a'.repeat(140)}`), { content })
      assert.ok(!('upstream_text' in line) || Array.isArray(content))
      assert.ok(performance.now() - started < 10_000)
    }
  })
})

test('a 500 that says the request is too long is a 400 for its client', async () => {
  for (const [message, asked] of [
    ['input (40001 tokens) is too large to process. increase the physical batch size', {}],
    ['the request exceeds the available context size, try increasing it', {}],
    ['input length exceeds maximum context length', { type: 'ollama', path: '/api/embed' }],
    ["the prompt exceeds the model's context window", {}],
    ["The input (9000 tokens) is longer than the model's context length (8192 tokens).", {}],
    ['prompt too long; exceeded max context length by 4 tokens', { type: 'ollama', path: '/api/chat' }],
    ['input (40001 tokens) is too large to process', { path: '/v1/embeddings' }],
    ['input (40001 tokens) is too large to process', { path: '/v1/messages' }],
    ['input (40001 tokens) is too large to process', { stream: true }],
    ['input (40001 tokens) is too large to process', { status: 200 }],
  ] as [string, Asked][]) {
    const { status, text, line } = await ask(said(message), asked)
    assert.equal(status, 400, message + text)
    assert.deepEqual([line.outcome, line.error_code], ['client_error', 'context_length_exceeded'], message)
  }
  const { text } = await ask(said('input (40001 tokens) is too large to process'))
  assert.match(
    JSON.parse(text).error.message,
    /maximum context length was exceeded: input \(40001 tokens\) is too large/,
  )
  assert.equal((await ask(said('image input is not supported'))).status, 502)
})

describe('an error that no retry can change', () => {
  for (const status of [401, 402, 403])
    test(`is reported as upstream_auth if the router's own key is rejected with ${status}`, async () => {
      const { status: returned, headers, text } = await ask(said('no such key'), { status })
      assert.deepEqual([returned, headers.get('x-should-retry')], [502, 'false'])
      assert.equal(JSON.parse(text).error.code, 'upstream_auth')
    })

  test('is not retried by official clients', async () => {
    for (const path of ['/v1/chat/completions', '/v1/messages']) {
      const index = models++
      upstream.rescript({ kind: 'reply', status: 401, body: said('no such key') })
      const from = upstream.requests.length
      const model = `vllm-${index}`
      const messages = [{ role: 'user' as const, content: 'x' }]
      const asking =
        path === '/v1/messages'
          ? new Anthropic({ baseURL: router.url, apiKey: 'x' }).messages.create({
              model,
              messages,
              max_tokens: 9,
            })
          : new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'x' }).chat.completions.create({
              model,
              messages,
            })
      await assert.rejects(asking, { status: 502 })
      assert.equal(upstream.requests.length, from + 1)
    }
  })

  test("is a billing error in the client's dialect if the account of the server has no credit", async () => {
    const error = { message: 'You exceeded your current quota', type: 'insufficient_quota', code: null }
    const expected = {
      '/v1/chat/completions': [429, { type: 'insufficient_quota', code: 'insufficient_quota' }],
      '/v1/responses': [429, { type: 'insufficient_quota', code: 'insufficient_quota' }],
      '/v1/messages': [402, { type: 'billing_error' }],
      '/api/chat': [402, 'You exceeded your current quota'],
    }
    for (const [path, [status, members]] of Object.entries(expected)) {
      const answer = await ask({ error }, { status: 429, path })
      const seen = JSON.parse(answer.text).error
      assert.deepEqual([answer.status, answer.headers.get('x-should-retry')], [status, 'false'], path)
      assert.deepEqual(typeof members === 'object' ? { ...seen, ...members } : members, seen, path)
    }
  })

  test('is marked as final for an exhausted quota, but not for a failure that may pass', async () => {
    const quota = await ask({ error: { message: 'x', code: 'insufficient_quota' } }, { status: 429 })
    assert.deepEqual([quota.status, quota.headers.get('x-should-retry')], [429, 'false'])
    for (const status of [500, 502, 503, 429])
      assert.equal((await ask(said('x'), { status })).headers.get('x-should-retry'), null, `${status}`)
  })
})
