import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { postBytes, RawClient } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const path = '/api/simplify_text'
const keyOf = (id: string) => `sk-0123456789abcdef-${id}`
const records = [
  { id: 'requests', requests_per_minute: 10 },
  { id: 'many', requests_per_minute: 10 },
  { id: 'left', requests_per_minute: 10, max_concurrent: 2, tokens_per_minute: 6_000 },
  { id: 'places', max_concurrent: 3 },
  { id: 'batch', max_concurrent: 2 },
  { id: 'tokens', tokens_per_minute: 10_000 },
  { id: 'cap', max_tokens: 100 },
]

let upstream: ScriptedUpstream
let router: TestRouter
let file: KeysFile

before(async () => {
  upstream = await startUpstream(upstreams.openaiText('Hi'))
  file = keysFile(records.map((record) => ({ ...record, key: keyOf(record.id) })))
  const provider = { api_type: 'vllm', api_host: upstream.url }
  router = await startRouter({
    env: { ...file.env, LLM_ROUTER_FANOUT: '6' },
    models: modelsConfig({
      m: [{ id: 'box', ...provider }],
      e: [{ id: 'embedder', ...provider, max_batch: 1 }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
  file.remove()
})

function headersOf(id: string): Record<string, string> {
  return { 'content-type': 'application/json', authorization: `Bearer ${keyOf(id)}` }
}

const texts = (count: number) => Array.from({ length: count }, (_, index) => `text ${index}`)
const simplify = (id: string, count: number, more: object = {}) =>
  post(router.url + path, { model: 'm', texts: texts(count), ...more }, headersOf(id))

test('S28 a request with several texts counts as one request per text', async () => {
  const first = await simplify('requests', 5)
  assert.deepEqual([first.status, first.headers.get('x-ratelimit-remaining-requests')], [200, '5'])
  const second = await simplify('requests', 4)
  assert.deepEqual([second.status, second.headers.get('x-ratelimit-remaining-requests')], [200, '1'])
  const from = upstream.requests.length
  const third = await simplify('requests', 2)
  assert.equal(third.status, 429)
  assert.ok(Number(third.headers.get('retry-after')) > 50)
  assert.equal(upstream.requests.length, from)
  assert.equal((await simplify('requests', 1)).status, 200)
})

test('S28 more texts than a key may send in a minute never pass, and the client is informed of it', async () => {
  const from = upstream.requests.length
  const { status, headers, text } = await simplify('many', 5_000)
  assert.equal(status, 429)
  assert.equal(headers.get('retry-after'), '60')
  assert.match(text, /count as 5000 requests, and this key may send 10 per minute/)
  assert.equal(headers.get('x-should-retry'), 'false')
  assert.equal(upstream.requests.length, from)
  const { headers: next } = await simplify('many', 10)
  assert.equal(next.get('x-ratelimit-remaining-requests'), '0', 'it was not counted')
})

/** Answers only once the expected number has arrived; `most` is how many were open at the same time. */
function measured(wanted: number, answer: upstreams.Behaviour): { most(): number } {
  let open = 0
  let most = 0
  let arrived = 0
  const enough = Promise.withResolvers<void>()
  upstream.rescript(async () => {
    most = Math.max(most, ++open)
    if (++arrived === wanted) enough.resolve()
    await enough.promise
    open--
    return answer
  })
  return { most: () => most }
}

test('S28 as many texts run at a time as the key has slots, which are released afterwards', async () => {
  const { most } = measured(3, upstreams.openaiText('Hi'))
  assert.equal((await simplify('places', 12)).status, 200)
  assert.equal(most(), 3)
  const held = Promise.withResolvers<void>()
  const from = upstream.requests.length
  upstream.rescript(async () => {
    await held.promise
    return upstreams.openaiText('Hi')
  })
  const several = simplify('places', 12)
  await upstream.requestReceived(from + 2)
  const other = await simplify('places', 1)
  assert.equal(other.status, 429)
  assert.equal(upstream.openRequests, 3)
  held.resolve()
  assert.equal((await several).status, 200)
  upstream.rescript(upstreams.openaiText('Hi'))
  assert.equal((await simplify('places', 1)).status, 200)
})

test('S28 the parts of a large embeddings request share the slots of the key', async () => {
  const vector = { object: 'embedding', index: 0, embedding: [1] }
  const answer: upstreams.Behaviour = {
    kind: 'reply',
    body: { object: 'list', model: 'x', data: [vector], usage: { prompt_tokens: 1, total_tokens: 1 } },
  }
  const { most } = measured(2, answer)
  const body = { model: 'e', input: texts(7) }
  const { status, text } = await post(`${router.url}/v1/embeddings`, body, headersOf('batch'))
  assert.equal(status, 200, text)
  assert.equal(most(), 2)
  upstream.rescript(upstreams.openaiText('Hi'))
})

test('S28 after a client disconnects, only texts that were sent and answers that may exist are charged', async () => {
  upstream.rescript({ kind: 'hang' })
  const from = upstream.requests.length
  const client = await RawClient.open(router.url)
  const lines = [`authorization: Bearer ${keyOf('left')}`, 'x-request-id: left']
  client.send(postBytes(path, { model: 'm', texts: texts(9) }, lines))
  await upstream.requestReceived(from + 1)
  client.close()
  await router.requestLogged('left')
  assert.equal(upstream.requests.length, from + 2)
  upstream.rescript(upstreams.openaiText('Hi'))
  const { status, headers } = await simplify('left', 1)
  assert.equal(status, 200)
  assert.equal(headers.get('x-ratelimit-remaining-requests'), '7')
  const tokens = Number(headers.get('x-ratelimit-remaining-tokens'))
  assert.ok(tokens < 5_600, `${tokens}: two answers of 256 tokens, and one that is reserved`)
})

test('S28 tokens are reserved for each text with its prompt, at most as many as each answer may have', async () => {
  const { status, headers } = await simplify('tokens', 10, { max_tokens: 50 })
  assert.equal(status, 200)
  const left = Number(headers.get('x-ratelimit-remaining-tokens'))
  const prompts = 10_000 - 500 - left
  assert.ok(prompts > 200 && prompts < 9_000, `${prompts}`)
  const unbounded = await simplify('tokens', 1)
  const one = 10_000 - Number(unbounded.headers.get('x-ratelimit-remaining-tokens'))
  assert.ok(one > 256 && one < 1_000, `${one}: 256 that the endpoint requests, and the prompt`)
})

test('S28 a text endpoint itself requests no more tokens than the key allows', async () => {
  const from = upstream.requests.length
  assert.equal((await simplify('cap', 1)).status, 200)
  const { max_tokens: asked } = Object(upstream.requests[from]?.body)
  assert.equal(asked, 100)
})
