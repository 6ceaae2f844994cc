import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { post } from '../helpers/http.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { postBytes, RawClient } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const path = '/v1/chat/completions'
const body = { model: 'm', messages: [{ role: 'user', content: 'x' }] }
const keyOf = (id: string) => `sk-0123456789abcdef-${id}`
const limited = (id: string, limits: object) => ({ id, key: keyOf(id), ...limits })
const records = [
  limited('two', { max_concurrent: 2 }),
  limited('left', { max_concurrent: 1 }),
  limited('five', { requests_per_minute: 5 }),
  limited('sdk', { requests_per_minute: 1 }),
  limited('spent', { tokens_per_minute: 600 }),
  limited('gone', { tokens_per_minute: 600 }),
  limited('cap', { max_tokens: 100 }),
]

let upstream: ScriptedUpstream
let router: TestRouter
let file: KeysFile

before(async () => {
  upstream = await startUpstream(upstreams.openaiText('Hi'))
  file = keysFile(records)
  router = await startRouter({ env: file.env, models: modelsConfig({ m: [provider()] }) })
})
after(async () => {
  await router.close()
  await upstream.close()
  file.remove()
})

function provider() {
  return { id: 'box', api_type: 'vllm', api_host: upstream.url }
}

function headersOf(id: string): Record<string, string> {
  return { 'content-type': 'application/json', authorization: `Bearer ${keyOf(id)}` }
}

const ask = (id: string, more: object = {}, url = router.url) =>
  post(url + path, { ...body, ...more }, headersOf(id))

/** Holds every answer back until `open` is called. */
function gate(): { open(): void; script: upstreams.Script } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return {
    open: resolve,
    script: async () => {
      await promise
      return upstreams.openaiText('Hi')
    },
  }
}

test('S28 in a burst only as many requests run at a time as the key allows, and the next start when they end', async () => {
  const { open, script } = gate()
  upstream.rescript(script)
  const from = upstream.requests.length
  const othersRefused = Promise.withResolvers<void>()
  const refused: Awaited<ReturnType<typeof ask>>[] = []
  const answers = Array.from({ length: 20 }, async () => {
    const answer = await ask('two')
    if (answer.status === 429 && refused.push(answer) === 18) othersRefused.resolve()
    return answer
  })
  await othersRefused.promise
  const [first = assert.fail()] = refused
  assert.equal(first.status, 429)
  assert.equal(first.headers.get('retry-after'), '1')
  assert.match(first.text, /"type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"/)
  open()
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 200).length, 2)
  assert.equal(upstream.requests.length, from + 2)
  upstream.rescript(upstreams.openaiText('Hi'))
  assert.equal((await ask('two')).status, 200)
})

test('S28 a client that disconnects frees its slot, whatever it was waiting for', async () => {
  // Before the answer
  upstream.rescript({ kind: 'hang' })
  const from = upstream.requests.length
  const waiting = await streamAs('left', 'left-1')
  await upstream.requestReceived(from)
  waiting.close()
  assert.equal((await router.requestLogged('left-1')).status, 499)
  // During the answer
  upstream.rescript({ kind: 'stream', pieces: [upstreams.openaiChunk({ content: 'Hi' })], ending: 'hang' })
  const streaming = await streamAs('left', 'left-2')
  await once(streaming.socket, 'data')
  streaming.close()
  assert.equal((await router.requestLogged('left-2')).status, 499)
  // Before its own request was complete
  const half = await RawClient.open(router.url)
  const lines = [`authorization: Bearer ${keyOf('left')}`, 'x-request-id: left-3', 'expect: 100-continue']
  half.send(postBytes(path, body, lines).slice(0, -10))
  assert.equal((await half.answer()).status, 100)
  half.close()
  await router.requestLogged('left-3')
  upstream.rescript(upstreams.openaiText('Hi'))
  assert.equal((await ask('left')).status, 200)
})

async function streamAs(id: string, requestId: string): Promise<RawClient> {
  const client = await RawClient.open(router.url)
  const lines = [`authorization: Bearer ${keyOf(id)}`, `x-request-id: ${requestId}`]
  client.send(postBytes(path, { ...body, stream: true }, lines))
  return client
}

test('S28 in a burst no more requests start in a minute than the key allows', async () => {
  const answers = await Promise.all(Array.from({ length: 30 }, () => ask('five')))
  const served = answers.filter(({ status }) => status === 200)
  assert.equal(served.length, 5)
  const left = served.map(({ headers }) => headers.get('x-ratelimit-remaining-requests')).toSorted()
  assert.deepEqual(left, ['0', '1', '2', '3', '4'])
  const refused = answers.find(({ status }) => status === 429)
  assert.equal(refused?.headers.get('x-ratelimit-limit-requests'), '5')
  assert.ok(Number(refused?.headers.get('retry-after')) > 50)
  const models = await fetch(`${router.url}/v1/models`, { headers: headersOf('five') })
  assert.equal(models.status, 200, 'requests that ask no model are not counted')
})

test('S28 official clients recognise a limit as a rate limit, each in its own format', async () => {
  const messages = [{ role: 'user' as const, content: 'x' }]
  const openai = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: keyOf('sdk'), maxRetries: 0 })
  await openai.chat.completions.create({ model: 'm', messages })
  await assert.rejects(openai.chat.completions.create({ model: 'm', messages }), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError)
    assert.equal(error.code, 'rate_limit_exceeded')
    assert.match(error.headers.get('x-ratelimit-reset-requests') ?? '', /^\d+s$/)
    return true
  })
  const anthropic = new Anthropic({ baseURL: router.url, apiKey: keyOf('sdk'), maxRetries: 0 })
  await assert.rejects(anthropic.messages.create({ model: 'm', max_tokens: 5, messages }), (error) => {
    assert.ok(error instanceof Anthropic.RateLimitError)
    assert.equal(error.type, 'rate_limit_error')
    assert.equal(error.headers.get('anthropic-ratelimit-requests-remaining'), '0')
    assert.match(error.headers.get('anthropic-ratelimit-requests-reset') ?? '', /^\d{4}-.*:\d\dZ$/)
    return true
  })
  const ollama = new Ollama({ host: router.url, headers: headersOf('sdk') })
  await assert.rejects(ollama.chat({ model: 'm', messages }), { status_code: 429 })
})

test('S28 tokens used by answers are deducted, and an overdraft delays the next request', async () => {
  const usage = { prompt_tokens: 500, completion_tokens: 700, total_tokens: 1200 }
  const answer = upstreams.openaiText('Hi')
  assert.ok(answer.kind === 'reply')
  upstream.rescript({ ...answer, body: { ...Object(answer.body), usage } })
  const first = await ask('spent')
  // A tenth for an answer of unknown length, and 14 for a prompt of 54 bytes, are reserved.
  assert.equal(first.headers.get('x-ratelimit-remaining-tokens'), '526')
  await router.requestLogged(first.headers.get('x-request-id') ?? '')
  const second = await ask('spent')
  assert.equal(second.status, 429)
  // An overdraft of 600 is recovered at 10 a second.
  const wait = Number(second.headers.get('retry-after'))
  assert.ok(wait > 50 && wait <= 61, `${wait}`)
  upstream.rescript(upstreams.openaiText('Hi'))
})

test('S28 a client that disconnects before the token counts arrive is still charged for tokens', async () => {
  const pieces = Array.from({ length: 400 }, () => upstreams.openaiChunk({ content: 'word ' }))
  upstream.rescript({ kind: 'stream', pieces, ending: 'hang' })
  const client = await streamAs('gone', 'gone-1')
  const half = pieces.join('').length / 2
  for (let bytes = 0; bytes < half; ) bytes += (await once(client.socket, 'data'))[0].length
  client.close()
  await router.requestLogged('gone-1')
  upstream.rescript(upstreams.openaiText('Hi'))
  const next = await ask('gone')
  assert.ok(Number(next.headers.get('x-ratelimit-remaining-tokens')) < 500, next.text)
})

test('S28 a request for more tokens than the key allows is rejected, and one without a number is unchanged', async () => {
  for (const more of [{ max_tokens: 101 }, { max_completion_tokens: 101 }, { MAX_TOKENS: 101 }]) {
    const { status, text } = await ask('cap', more)
    assert.equal(status, 400, JSON.stringify(more))
    assert.match(text, /"code":"max_tokens_exceeded"/)
  }
  const at = (where: string, more: object) => post(router.url + where, { ...body, ...more }, headersOf('cap'))
  assert.equal((await at('/api/chat', { options: { num_predict: -1 } })).status, 400)
  assert.equal((await at('/v1/messages', { max_tokens: 101 })).status, 400)
  assert.equal((await at('/api/translate', { texts: ['x'], max_new_tokens: '101' })).status, 400)
  assert.equal((await ask('cap', { max_tokens: 100 })).status, 200)
  await ask('cap')
  assert.deepEqual(Object.keys(Object(upstream.requests.at(-1)?.body)).toSorted(), ['messages', 'model'])
})

test('S28 processes with the same Redis share the limits of a key', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const env = { ...file.env, LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: `${redis.port}` }
  const start = () => startRouter({ env, models: modelsConfig({ m: [provider()] }) })
  const routers = await Promise.all([start(), start()])
  t.after(() => Promise.all(routers.map((each) => each.close())))
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => ask('five', {}, routers[index % 2]?.url)),
  )
  assert.equal(answers.filter(({ status }) => status === 200).length, 5)
})

test('S28 a key has all of its slots as soon as Redis answers again, whatever ended while it did not', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const env = { ...file.env, LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: `${redis.port}` }
  const other = await startRouter({ env, models: modelsConfig({ m: [provider()] }) })
  t.after(() => other.close())
  assert.equal((await ask('two', {}, other.url)).status, 200)

  const { open, script } = gate()
  t.after(open)
  upstream.rescript(script)
  const from = upstream.requests.length
  redis.process.kill('SIGSTOP')
  // Redis executes these calls once it continues, but the router does not wait for that.
  const running = [ask('two', {}, other.url), ask('two', {}, other.url), ask('left', {}, other.url)]
  await upstream.requestReceived(from + 2)
  open()
  for (const { status } of await Promise.all(running)) assert.equal(status, 200)
  redis.process.kill('SIGCONT')

  upstream.rescript(upstreams.openaiText('Hi'))
  let isBack = false
  const back = other
    .logged(({ msg }) => msg === 'Redis is available again')
    .then(() => {
      isBack = true
    })
  while (!isBack) await ask('left', {}, other.url)
  await back
  for (const { status } of await Promise.all([1, 2].map(() => ask('two', {}, other.url))))
    assert.equal(status, 200)
})

// test/cluster/shared-state.test.ts covers the processes of a cluster.
