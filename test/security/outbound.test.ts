import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { after, before, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { postBytes, sendRaw } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  ollamaText,
  openaiText,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'

let upstream: ScriptedUpstream
/** An address where nothing must ever arrive. */
let stranger: ScriptedUpstream
let router: TestRouter

before(async () => {
  stranger = await startUpstream(openaiText('stranger'))
  upstream = await startUpstream(openaiText('Hi'))
  const at = { api_host: upstream.url }
  router = await startRouter({
    models: modelsConfig({
      vllm: [{ id: 'vllm', api_type: 'vllm', api_token: 'upstream-key', ...at }],
      openai: [{ id: 'openai', api_type: 'openai', api_token: 'upstream-key', ...at }],
      ollama: [{ id: 'ollama', api_type: 'ollama', ...at }],
      keyless: [{ id: 'keyless', api_type: 'vllm', ...at }],
      packed: [{ id: 'packed', api_type: 'vllm', ...at }],
      moved: [{ id: 'moved', api_type: 'vllm', api_token: 'upstream-key', ...at }],
      pair: [
        { id: 'first', api_type: 'vllm', api_token: 'key-of-first', ...at },
        { id: 'second', api_type: 'vllm', api_token: 'key-of-second', api_host: `${upstream.url}/second` },
      ],
    }),
  })
})
after(async () => {
  assert.equal(stranger.requests.length, 0, 'a request went to a destination outside the configuration')
  await router.close()
  await upstream.close()
  await stranger.close()
})

/** What the upstream received of this request. */
async function forwarded(bytes: string, behaviour: Behaviour = openaiText('Hi')): Promise<RecordedRequest> {
  upstream.rescript(behaviour)
  const index = upstream.requests.length
  const { status, body } = await sendRaw(router.url, bytes)
  assert.equal(status, 200, body)
  assert.equal(upstream.requests.length, index + 1)
  return upstream.requests[index] ?? assert.fail()
}

const allowed = new Set([
  'host',
  'connection',
  'content-length',
  'content-type',
  'accept',
  'accept-encoding',
  'user-agent',
  'authorization',
  'x-request-id',
  'traceparent',
  'tracestate',
])

/** None may be sent upstream; the values are canaries. */
const clientHeaders = [
  'authorization',
  'x-api-key',
  'api-key',
  'cookie',
  'forwarded',
  'via',
  'referer',
  'origin',
  'from',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'x-original-url',
  'te',
  'proxy-authorization',
  'proxy-connection',
  'keep-alive',
  'trailer',
  'max-forwards',
  'range',
  'openai-organization',
  'openai-project',
  'anthropic-version',
  'x-stainless-os',
  'x-goog-api-key',
  'x-openai-host',
  'x-ollama-host',
  'x-http-method-override',
  'accept-language',
  'if-none-match',
  ...Array.from({ length: 170 }, (_, index) => `x-custom-${index}`),
]

test('S1 of 200 headers that a client sends, none reaches an upstream', async () => {
  assert.ok(clientHeaders.length >= 200)
  const lines = [
    ...clientHeaders.map((name) => `${name}: canary-${name}`),
    'user-agent: canary-agent',
    'accept: canary/accept',
    'expect: 100-continue',
    // RFC 9110, 7.6.1: a proxy drops the headers named here. The router's own headers must not be among them.
    'connection: keep-alive, authorization, content-length, content-type, host, x-request-id',
  ]
  for (const model of ['vllm', 'openai', 'ollama', 'keyless']) {
    const behaviour = model === 'ollama' ? ollamaText('Hi') : openaiText('Hi')
    upstream.rescript(behaviour)
    const index = upstream.requests.length
    const client = postBytes(path, { model, messages }, lines)
    const { status } = await sendRaw(router.url, client)
    assert.equal(status, 100, 'the answer follows')
    const { headers, raw } = await upstream.requestReceived(index)
    const names = Object.keys(headers)
    assert.deepEqual(
      names.filter((name) => !allowed.has(name)),
      [],
    )
    assert.doesNotMatch(JSON.stringify(headers), /canary/)
    assert.equal(
      headers.authorization,
      model === 'vllm' || model === 'openai' ? 'Bearer upstream-key' : undefined,
    )
    assert.equal(headers['content-type'], 'application/json')
    assert.equal(headers['content-length'], String(raw.length))
  }
})

test('S2 each target gets only its own key', async () => {
  upstream.rescript(openaiText('Hi'))
  const from = upstream.requests.length
  for (let count = 0; count < 4; count++) await post(router.url + path, { model: 'pair', messages })
  const seen = upstream.requests.slice(from).map(({ url, headers }) => `${url} ${headers.authorization}`)
  assert.deepEqual(
    new Set(seen),
    new Set(['/v1/chat/completions Bearer key-of-first', '/second/v1/chat/completions Bearer key-of-second']),
  )
})

test('S2 a redirect is not followed, and its target is not revealed to the client', async () => {
  for (const status of [301, 302, 307, 308]) {
    const location = `${stranger.url}/canary-location`
    upstream.rescript({ kind: 'reply', status, headers: { location }, body: '' })
    const answer = await post(router.url + path, { model: 'moved', messages })
    assert.ok(answer.status >= 500, String(answer.status))
    assert.equal(answer.headers.get('location'), null)
    assert.doesNotMatch(answer.text, /canary/)
  }
  assert.equal(stranger.requests.length, 0)
})

test('S3 the upstream receives its own host, whatever host the client sent', async () => {
  const { host } = new URL(upstream.url)
  for (const client of ['evil.example', 'evil.example:1', 'localhost']) {
    const bytes = postBytes(path, { model: 'vllm', messages }).replace('host: router', `host: ${client}`)
    assert.equal((await forwarded(bytes)).headers.host, host)
  }
})

test('S4 the upstream address depends only on the configuration and the route', async () => {
  const targets = [
    `${path}?path=/v1/files&x=../../admin`,
    `${path}/?model=other`,
    '/api/v1/chat/completions?/../..',
    '/v1/chat%2Fcompletions',
    '/v1/chat/completions/../../v1/files',
    '/v1/%2e%2e/v1/chat/completions',
    '//evil.example/v1/chat/completions',
    `${stranger.url}${path}`,
    '/v1/chat/completions#/v1/files',
    '/v1/chat/completions%00',
    '/v1/chat/completions;a=b',
    '/v1\\chat\\completions',
  ]
  const from = upstream.requests.length
  upstream.rescript(openaiText('Hi'))
  const statuses: number[] = []
  for (const target of targets) {
    statuses.push((await sendRaw(router.url, postBytes(target, { model: 'vllm', messages }))).status)
  }
  assert.deepEqual(
    upstream.requests.slice(from).map(({ url }) => url),
    Array(3).fill('/v1/chat/completions'),
  )
  assert.deepEqual(statuses.slice(0, 3), [200, 200, 200])
  assert.ok(
    statuses.slice(3).every((status) => [400, 404].includes(status)),
    statuses.join(),
  )
})

test('S5 nothing in a request determines its destination', async () => {
  const evil = stranger.url
  const body = {
    model: 'vllm',
    messages,
    api_base: evil,
    base_url: evil,
    api_host: evil,
    api_key: 'canary-key',
    headers: { authorization: 'Bearer canary' },
    extra_headers: { host: 'evil' },
    proxy: evil,
    provider: 'stranger',
    api_type: 'openai',
    timeout: 1,
    target: evil,
    url: evil,
    custom_llm_provider: 'x',
  }
  const { url, headers } = await forwarded(
    postBytes(path, body, [`x-upstream: ${evil}`, `api-base: ${evil}`]),
  )
  assert.equal(url, '/v1/chat/completions')
  assert.doesNotMatch(JSON.stringify(headers), /canary|evil/)
  assert.equal(stranger.requests.length, 0)
})

async function listening(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined)
    onSocket(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo // it listens on a port
  return port
}

/** A router whose model `one` is answered on this port. */
async function routerOver(t: TestContext, port: number): Promise<TestRouter> {
  const one = { id: 'one', api_type: 'vllm', api_host: `http://127.0.0.1:${port}` }
  const own = await startRouter({ models: modelsConfig({ one: [one] }) })
  t.after(() => own.close())
  return own
}

function answerBytes(text: string): string {
  const choice = { index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }
  const body = JSON.stringify({
    id: 'x',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [choice],
  })
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

test('S12 unsolicited bytes never become the response to the next request', async (t) => {
  for (const extra of [answerBytes('canary'), 'garbage\r\n\r\n', 'HTTP/1.1 200 OK\r\n']) {
    let count = 0
    const port = await listening(t, (socket) => {
      socket.on('data', (bytes) => {
        if (!bytes.includes('messages')) return
        count++
        socket.write(answerBytes(`answer-${count}`) + (count === 1 ? extra : ''))
      })
    })
    const own = await routerOver(t, port)
    for (const number of [1, 2, 3]) {
      const { status, text } = await post(own.url + path, { model: 'one', messages })
      assert.equal(status, 200, text)
      assert.match(text, new RegExp(`answer-${number}`))
    }
  }
})

test('S12 an upstream that rejects a request before its whole body does not affect the next request', async (t) => {
  const port = await listening(t, (socket) => {
    socket.on('data', (bytes) => {
      if (bytes.includes('content-length: 4000')) {
        socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n')
      } else if (bytes.includes('short')) socket.write(answerBytes('short'))
    })
  })
  const own = await routerOver(t, port)
  const long = [{ role: 'user', content: 'x'.repeat(4_000_000) }]
  assert.equal((await post(own.url + path, { model: 'one', messages: long })).status, 413)
  const { text } = await post(own.url + path, {
    model: 'one',
    messages: [{ role: 'user', content: 'short' }],
  })
  assert.match(text, /"short"/)
})

test('S15 compressed answers are not requested, and never inflated', async () => {
  const bomb = gzipSync(Buffer.alloc(16 * 1024 * 1024))
  upstream.rescript({ kind: 'reply', headers: { 'content-encoding': 'gzip' }, body: bomb })
  const index = upstream.requests.length
  const answer = await post(router.url + path, { model: 'packed', messages })
  assert.equal(answer.status, 502)
  assert.ok(answer.text.length < 1000)
  assert.equal(upstream.requests[index]?.headers['accept-encoding'], 'identity')
  const packed = await post(router.url + path, gzipSync(JSON.stringify({ model: 'vllm', messages })), {
    'content-type': 'application/json',
    'content-encoding': 'gzip',
  })
  assert.equal(packed.status, 415)
})
