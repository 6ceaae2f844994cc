import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { post, type RawAnswer } from '../helpers/http.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { postBytes, RawClient } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'
const body = { model: 'm', messages }
const keyOf = (id: string) => `sk-0123456789abcdef-${id}`
/** Enough for ten such requests a minute. */
const usage = { prompt_tokens: 100, completion_tokens: 500, total_tokens: 600 }
const keyLimits: Record<string, object> = Object.fromEntries(
  [
    ...['burst', 'redis', 'agent', 'given', 'several', 'absurd'].map((id) => [id, 6000]),
    ...[
      'chunked',
      'plain',
      'form',
      'whole',
      'partial',
      'cut',
      'history',
      'uncounted',
      'upload',
      'large',
      'silent',
    ].map((id) => [id, 1200]),
  ].map(([id, tokens]) => [id, { tokens_per_minute: tokens }]),
)

let upstream: ScriptedUpstream
let router: TestRouter
let file: KeysFile

before(async () => {
  upstream = await startUpstream(upstreams.openaiText('Hi'))
  file = keysFile(Object.entries(keyLimits).map(([id, limits]) => ({ id, key: keyOf(id), ...limits })))
  router = await startRouter({ env: file.env, models: models() })
})
after(async () => {
  await router.close()
  await upstream.close()
  file.remove()
})

function models() {
  const provider = (id: string, type: string) => ({ id, api_type: type, api_host: upstream.url })
  return modelsConfig({ m: [provider('box', 'vllm')], claude: [provider('claude', 'anthropic')] })
}

function headersOf(id: string, type = 'application/json'): Record<string, string> {
  return { 'content-type': type, authorization: `Bearer ${keyOf(id)}` }
}

const ask = (id: string, more: object = {}, url = router.url) =>
  post(url + path, { ...body, ...more }, headersOf(id))

/** What a key has left, read with a request that uses no tokens. */
async function leftOf(id: string): Promise<number> {
  const { headers } = await post(`${router.url}/api/show`, { model: 'm' }, headersOf(id))
  return Number(headers.get('ratelimit-remaining'))
}

/** An answer with these token counts from the upstream. */
function counted(counts: object | undefined): upstreams.Behaviour {
  const answer = upstreams.openaiText('Hi')
  assert.ok(answer.kind === 'reply')
  return { ...answer, body: { ...Object(answer.body), usage: counts } }
}

/** Sends 60 concurrent requests and holds every answer back until all others are rejected; returns the responses. */
async function burst(urls: readonly string[], id: string, passing: number): Promise<RawAnswer[]> {
  const opened = Promise.withResolvers<void>()
  upstream.rescript(async () => {
    await opened.promise
    return counted(usage)
  })
  let refused = 0
  const answers = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => {
      const answer = await ask(id, {}, urls[index % urls.length])
      if (answer.status === 429 && ++refused === 60 - passing) opened.resolve()
      return answer
    }),
  )
  upstream.rescript(upstreams.openaiText('Hi'))
  return answers
}

function served(answers: readonly RawAnswer[]): number {
  return answers.filter(({ status }) => status === 200).length
}

test('S28 of sixty concurrent requests at most ten are sent upstream if the limit allows ten', async () => {
  const from = upstream.requests.length
  const answers = await burst([router.url], 'burst', 10)
  assert.ok(served(answers) >= 8 && served(answers) <= 10, `${served(answers)}`)
  assert.equal(upstream.requests.length - from, served(answers))
  const refused = answers.find(({ status }) => status === 429)
  assert.match(refused?.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  assert.match(refused?.text ?? '', /"code":"rate_limit_exceeded"/)
})

// test/cluster/shared-state.test.ts covers the processes of a cluster.
test('S28 processes with the same Redis share token reservations', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const env = { ...file.env, LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: `${redis.port}` }
  const routers = await Promise.all([0, 1].map(() => startRouter({ env, models: models() })))
  t.after(() => Promise.all(routers.map((each) => each.close())))
  const answers = await burst(
    routers.map(({ url }) => url),
    'redis',
    10,
  )
  assert.ok(served(answers) >= 8 && served(answers) <= 10, `${served(answers)}`)
  const { total } = await redis.redis.hgetall('{k:redis}:reserved')
  assert.ok(Number(total ?? 0) <= 1_300, `${total}`)
})

test('S28 a request for an absurd number of answers leaves the limits of its key as they were', async (t) => {
  upstream.rescript(counted({ prompt_tokens: 20, completion_tokens: 30, total_tokens: 50 }))
  const redis = await startRedis()
  t.after(() => redis.stop())
  const env = { ...file.env, LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: `${redis.port}` }
  const sharing = await startRouter({ env, models: models() })
  t.after(() => sharing.close())
  for (const url of [router.url, sharing.url]) {
    for (const n of [1e308, 1e15, 1e308]) assert.equal((await ask('absurd', { n }, url)).status, 200)
    const { status, headers, text } = await post(
      `${url}/v1/messages`,
      { ...body, max_tokens: 9 },
      headersOf('absurd'),
    )
    assert.equal(status, 200, text)
    const reset = Date.parse(headers.get('anthropic-ratelimit-tokens-reset') ?? '')
    assert.ok(reset - Date.now() < 60_000, String(reset))
  }
})

test('S28 a request with max_tokens of 32,000 is charged what it uses', async () => {
  upstream.rescript(counted({ prompt_tokens: 20, completion_tokens: 30, total_tokens: 50 }))
  for (let index = 0; index < 20; index++) {
    const { status, text } = await ask('agent', { max_tokens: 32_000 })
    assert.equal(status, 200, `${index}: ${text}`)
  }
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('agent', { max_tokens: 32_000 })))
  assert.equal(served(answers), 20, 'its answers are known to be short')
})

test('S28 reserved tokens show in the remaining tokens, and are released at every kind of end', async () => {
  const first = await ask('given')
  const remaining = Number(first.headers.get('x-ratelimit-remaining-tokens'))
  assert.ok(remaining >= 5_300 && remaining < 5_400, `${remaining}: 600 for an answer, and the prompt`)
  const bounded = await ask('given', { max_tokens: 5 })
  assert.ok(Number(bounded.headers.get('x-ratelimit-remaining-tokens')) > 5_900)
  upstream.rescript(upstreams.openaiError(400, { message: 'no' }))
  assert.equal((await ask('given')).status, 400)
  upstream.rescript({ kind: 'reset' })
  assert.ok((await ask('given')).status >= 500)
  assert.equal((await ask('given', { model: 'none' })).status, 404)
  assert.equal((await ask('given', { messages: undefined })).status, 400)
  upstream.rescript(upstreams.openaiText('Hi'))
  const waiting = await RawClient.open(router.url)
  const lines = [`authorization: Bearer ${keyOf('given')}`, 'x-request-id: half']
  waiting.send(postBytes(path, body, [...lines, 'expect: 100-continue']).slice(0, -10))
  await waiting.answer()
  waiting.close()
  await router.requestLogged('half')
  assert.ok((await leftOf('given')) > 5_850, `${await leftOf('given')}`)
})

test('S28 several answers to one request are reserved as several', async () => {
  const left = async (more: object) => {
    const { headers } = await ask('several', more)
    return Number(headers.get('x-ratelimit-remaining-tokens'))
  }
  for (const more of [{ n: 5 }, { best_of: 5 }, { n: 2, best_of: 5 }]) {
    const remaining = await left({ max_tokens: 500, ...more })
    assert.ok(remaining >= 3_200 && remaining < 3_500, `${JSON.stringify(more)}: ${remaining}`)
  }
  const { headers } = await post(
    `${router.url}/v1/completions`,
    { model: 'm', prompt: ['a', 'b', 'c'], max_tokens: 500 },
    headersOf('several'),
  )
  const remaining = Number(headers.get('x-ratelimit-remaining-tokens'))
  assert.ok(remaining >= 4_200 && remaining < 4_500, `${remaining}`)
})

/** A client with this request disconnects as soon as the upstream has it; returns what its key has left then. */
async function leaveWith(id: string, bytes: string): Promise<number> {
  upstream.rescript({ kind: 'hang' })
  const from = upstream.requests.length
  const client = await RawClient.open(router.url)
  client.send(bytes.replace('\r\n', `\r\nauthorization: Bearer ${keyOf(id)}\r\nx-request-id: left-${id}\r\n`))
  await upstream.requestReceived(from)
  client.close()
  await router.requestLogged(`left-${id}`)
  upstream.rescript(upstreams.openaiText('Hi'))
  return leftOf(id)
}

const longText = 'some words '.repeat(360)

test('S28 a client that sends chunks and disconnects is charged for the bytes that were read', async () => {
  const json = JSON.stringify({ ...body, messages: [{ role: 'user', content: longText }], stream: true })
  const chunks = `${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n`
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked`
  const left = await leaveWith('chunked', `${head}\r\n\r\n${chunks}`)
  assert.ok(left < 500, `${left}`)
})

test('S28 a client that sends text/plain to an Ollama path and disconnects is charged for the bytes that were read', async () => {
  const json = JSON.stringify({ ...body, messages: [{ role: 'user', content: longText }] })
  const head = 'POST /api/chat HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain'
  const left = await leaveWith('plain', `${head}\r\ncontent-length: ${json.length}\r\n\r\n${json}`)
  assert.ok(left < 500, `${left}`)
})

test('S28 a client that sends a form and disconnects is charged for the bytes that were read', async () => {
  const form = new URLSearchParams({ model: 'm', texts: longText, language: 'en' }).toString()
  const head =
    'POST /api/simplify_text HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded'
  const left = await leaveWith('form', `${head}\r\ncontent-length: ${form.length}\r\n\r\n${form}`)
  assert.ok(left < 500, `${left}`)
})

test('S28 a client that disconnects during a whole answer is charged for what may have been generated', async () => {
  upstream.rescript({ kind: 'hang' })
  const from = upstream.requests.length
  const client = await RawClient.open(router.url)
  client.send(postBytes(path, body, [`authorization: Bearer ${keyOf('whole')}`, 'x-request-id: whole']))
  const before = await leftOf('whole')
  await upstream.requestReceived(from)
  client.close()
  await router.requestLogged('whole')
  const left = await leftOf('whole')
  // 120 were reserved for the answer, and nothing shows how much of it was generated.
  assert.ok(before < 1_080 + 60 && left > before, `${before} ${left}`)
  assert.ok(left < 1_200, `${left}`)
})

test('S28 token counts at the beginning of a stream do not make the rest of it free', async () => {
  const event = (type: string, more: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`
  const message = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'x',
    content: [],
    stop_reason: null,
    usage: { input_tokens: 10, output_tokens: 1 },
  }
  const pieces = [
    event('message_start', { message }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    ...Array.from({ length: 800 }, () =>
      event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'word ' } }),
    ),
  ]
  upstream.rescript({ kind: 'stream', pieces, ending: 'hang' })
  const client = await RawClient.open(router.url)
  const lines = [`authorization: Bearer ${keyOf('partial')}`, 'x-request-id: partial']
  client.send(postBytes('/v1/messages', { ...body, model: 'claude', max_tokens: 9_000, stream: true }, lines))
  for (let bytes = 0; bytes < pieces.join('').length; ) bytes += (await once(client.socket, 'data'))[0].length
  client.close()
  await router.requestLogged('partial')
  upstream.rescript(upstreams.openaiText('Hi'))
  const left = await leftOf('partial')
  assert.ok(left < 650, `${left}`)
})

test('S28 a stream that the upstream breaks off is charged as far as it came', async () => {
  const pieces = Array.from({ length: 600 }, () => upstreams.openaiChunk({ content: 'word ' }))
  upstream.rescript({ kind: 'stream', pieces, ending: 'cut' })
  const { status, text } = await ask('cut', { stream: true })
  assert.equal(status, 200)
  assert.match(text, /upstream_truncated/)
  upstream.rescript(upstreams.openaiText('Hi'))
  const left = await leftOf('cut')
  assert.ok(left < 700, `${left}`)
})

test('S28 keep-alives before an error are not an answer, and use no tokens', async (t) => {
  const waiting = await startRouter({
    env: { ...file.env, LLM_ROUTER_STREAM_KEEPALIVE: '0.02' },
    models: models(),
  })
  t.after(() => waiting.close())
  const fail = Promise.withResolvers<void>()
  upstream.rescript(async () => {
    await fail.promise
    return upstreams.openaiError(500, { message: 'no' })
  })
  const response = await fetch(waiting.url + path, {
    method: 'POST',
    headers: headersOf('silent'),
    body: JSON.stringify({ ...body, stream: true, messages: [{ role: 'user', content: 'x'.repeat(2_000) }] }),
  })
  assert.equal(response.status, 200, 'the stream is open')
  fail.resolve()
  assert.match(await response.text(), /: keep-alive.*"code":"upstream_error"/s)
  upstream.rescript(upstreams.openaiText('Hi'))
  const shown = await post(`${waiting.url}/api/show`, { model: 'm' }, headersOf('silent'))
  assert.ok(Number(shown.headers.get('ratelimit-remaining')) > 1_190)
})

test('S28 an answer without a token count is charged by its length', async () => {
  const answer = upstreams.openaiText('some words '.repeat(300))
  assert.ok(answer.kind === 'reply')
  const { usage: _usage, ...uncounted } = Object(answer.body)
  upstream.rescript({ ...answer, body: uncounted })
  assert.equal((await ask('uncounted')).status, 200)
  upstream.rescript(upstreams.openaiText('Hi'))
  const left = await leftOf('uncounted')
  assert.ok(left < 500, `${left}`)
})

test('S28 a stored conversation counts as part of the prompt', async () => {
  upstream.rescript(counted({ prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }))
  const first = await post(
    `${router.url}/v1/responses`,
    { model: 'm', input: longText },
    headersOf('history'),
  )
  assert.equal(first.status, 200, first.text)
  const more = { model: 'm', input: 'x', previous_response_id: JSON.parse(first.text).id, stream: true }
  const left = await leaveWith('history', postBytes('/v1/responses', more))
  assert.ok(left < 500, `${left}`)
})

test('S28 a request larger than the limit passes if nothing is owed, and leaves an overdraft', async () => {
  upstream.rescript(counted({ prompt_tokens: 2_000, completion_tokens: 10, total_tokens: 2_010 }))
  const large = { messages: [{ role: 'user', content: 'some words '.repeat(800) }] }
  assert.equal((await ask('large', large)).status, 200)
  for (const [where, form] of [
    [path, /^{"error":{.*"type":"rate_limit_error".*"code":"rate_limit_exceeded"/],
    ['/v1/messages', /^{"type":"error","error":{"type":"rate_limit_error"/],
    ['/api/chat', /^{"error":"/],
    ['/v1/responses', /^{"error":{.*"code":"rate_limit_exceeded"/],
  ] as const) {
    const { status, headers, text } = await post(router.url + where, body, headersOf('large'))
    assert.equal(status, 429, text)
    assert.match(text, form)
    const wait = headers.get('retry-after') ?? ''
    // 810 are owed, recovered at 20 a second.
    assert.match(wait, /^\d+$/)
    assert.ok(Number(wait) > 20 && Number(wait) <= 42, wait)
  }
})

test('S28 an upload is charged by its bytes', async () => {
  const form = new FormData()
  form.set('model', 'm')
  form.set('file', new Blob([new Uint8Array(600_000)]), 'speech.wav')
  const headers = { authorization: `Bearer ${keyOf('upload')}` }
  const url = `${router.url}/v1/audio/transcriptions`
  const answer = await fetch(url, { method: 'POST', headers, body: form })
  assert.equal(answer.status, 200, await answer.text())
  const left = await leftOf('upload')
  assert.ok(left < 800, `${left}`)
})
