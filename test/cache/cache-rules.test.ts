import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { startRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { completion, json, modelsWith, question, startCache } from './cache-setup.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

async function cache(options: Parameters<typeof startCache>[0] = {}) {
  const setup = await startCache(options)
  open.push(setup)
  return setup
}

test('there is no cache unless one is configured', async () => {
  const { ask } = await cache({ processors: [] })
  await ask(question(), null)
  await ask(question(), null)
})

test('LLM_ROUTER_CACHE enables the cache for all models; a hit has a new id and date', async () => {
  const { ask } = await cache({ processors: [], env: { LLM_ROUTER_CACHE: '1' } })
  const fresh = await ask(question(), 'miss')
  const again = await ask(question(), 'hit')
  assert.equal(JSON.parse(again.text).choices[0].message.content, 'Answer 0')
  assert.notEqual(JSON.parse(again.text).id, JSON.parse(fresh.text).id)
  assert.ok(JSON.parse(again.text).created > 1_700_000_000)
})

test('a cache applies only to the models that it names', async () => {
  const { ask } = await cache({ processors: [{ type: 'cache', models: ['other'] }] })
  await ask(question(), null)
  await ask({ ...question(), model: 'other' }, 'miss')
  await ask({ ...question(), model: 'other' }, 'hit')
})

test('requests that depend on more than their body, or have several outcomes, bypass the cache', async () => {
  const tool = { type: 'function', function: { name: 'f', parameters: {} } }
  const { ask } = await cache()
  for (const more of [
    { store: true },
    { tools: [tool] },
    { functions: [{ name: 'f' }] },
    { plugins: [{ id: 'web' }] },
    { n: 2 },
    { n: { toString: 2 } },
    { modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } },
  ]) {
    await ask({ ...question(), ...more }, 'bypass')
    await ask({ ...question(), ...more }, 'bypass')
  }
  for (const more of [
    { n: 2, seed: 1 },
    { n: 1 },
    { n: null },
    { tools: [] },
    { store: false },
    { modalities: ['text'] },
  ]) {
    await ask({ ...question(), ...more }, 'miss')
    await ask({ ...question(), ...more }, 'hit')
  }
})

test('Responses that are continued, stored on request or run in the background bypass the cache', async () => {
  const { router, upstream } = await cache()
  const ask = (more: object) =>
    post(`${router.url}/v1/responses`, { model: 'm', input: 'What is it?', ...more }, json)
  const fresh = await ask({})
  const again = await ask({})
  assert.deepEqual(
    [fresh, again].map(({ headers }) => headers.get('x-llm-router-cache')),
    ['miss', 'hit'],
  )
  const { id } = JSON.parse(again.text)
  assert.notEqual(id, JSON.parse(fresh.text).id)
  const before = upstream.requests.length
  for (const more of [{ previous_response_id: id }, { store: true }]) {
    const answer = await ask(more)
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.headers.get('x-llm-router-cache'), 'bypass')
  }
  assert.equal(upstream.requests.length, before + 2)
  assert.match(
    upstream.requests.at(-2)?.raw.toString() ?? '',
    /Answer 0/,
    'the response of a hit can be continued',
  )
  assert.equal((await ask({ background: true })).headers.get('x-llm-router-cache'), 'bypass')
})

test('"tools": true also caches responses with tool calls', async () => {
  const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }
  const { ask } = await cache({
    processors: [{ type: 'cache', tools: true }],
    answer: () => completion('', { reason: 'tool_calls', message: { content: null, tool_calls: [call] } }),
  })
  const body = { ...question(), tools: [{ type: 'function', function: { name: 'f', parameters: {} } }] }
  await ask(body, 'miss')
  const again = JSON.parse((await ask(body, 'hit')).text)
  assert.deepEqual(again.choices[0].message.tool_calls, [call])
})

test("the request's cache-control is honoured: no-store, no-cache and max-age", async () => {
  const { ask } = await cache()
  await ask(question(), 'bypass', { 'cache-control': 'no-store' })
  await ask(question(), 'miss')
  await ask(question(), 'bypass', { 'cache-control': 'no-store' })
  await ask(question(), 'hit', { 'cache-control': 'max-age=60' })
  const renewed = await ask(question(), 'miss', { 'cache-control': 'no-cache' })
  const again = await ask(question(), 'hit')
  assert.equal(
    JSON.parse(again.text).choices[0].message.content,
    JSON.parse(renewed.text).choices[0].message.content,
  )
  await ask(question(), 'miss', { 'cache-control': 'max-age=0' })
})

test('responses that are incomplete, refused or too large are not cached', async () => {
  let answer = completion('')
  const { ask } = await cache({
    processors: [{ type: 'cache', max_entry_bytes: 2_000 }],
    answer: () => answer,
  })
  for (const [index, given] of [
    completion('It is', { reason: 'length' }),
    completion('It', { reason: 'content_filter' }),
    completion('It', { reason: 'eos_of_a_new_kind' }),
    completion('', { message: { refusal: 'I cannot.' } }),
    completion('x'.repeat(2_000)),
  ].entries()) {
    answer = given
    await ask(question(`case ${index}`), 'miss')
    await ask(question(`case ${index}`), 'miss')
  }
})

test('streams that are cut off and errors are not cached', async () => {
  const { router, upstream } = await cache()
  const chunk = { id: 'x', object: 'chat.completion.chunk', created: 1, model: 'up' }
  const first = `data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta: { content: 'It' }, finish_reason: null }] })}\n\n`
  for (const ending of ['cut', 'end'] as const) {
    upstream.rescript({ kind: 'stream', pieces: [first], ending })
    const broken = await post(`${router.url}/v1/chat/completions`, { ...question(), stream: true })
    assert.match(broken.text, /error/)
  }
  upstream.rescript({ kind: 'reply', status: 400, body: { error: { message: 'no' } } })
  assert.equal((await post(`${router.url}/v1/chat/completions`, question())).status, 400)
  upstream.rescript({ kind: 'reply', body: completion('fine') })
  const fresh = await post(`${router.url}/v1/chat/completions`, question())
  assert.equal(fresh.headers.get('x-llm-router-cache'), 'miss')
})

test('the response of a fallback model is not cached', async () => {
  const down = await startUpstream({ kind: 'reply', status: 500, body: { error: { message: 'down' } } })
  const up = await startUpstream((_request, index) => ({
    kind: 'reply',
    body: completion(`Answer ${index}`),
  }))
  const provider = (url: string) => [{ api_type: 'vllm', api_host: url, model_path: 'up' }]
  const router = await startRouter({
    models: {
      processors: [{ type: 'cache' }],
      g: {
        m: { providers: provider(down.url), fallbacks: ['spare'] },
        spare: { providers: provider(up.url) },
      },
      active_models: { g: ['m', 'spare'] },
    },
  })
  open.push(down, up, router)
  for (let round = 0; round < 2; round++) {
    const answer = await post(`${router.url}/v1/chat/completions`, question())
    assert.equal(answer.headers.get('x-llm-router-model'), 'spare')
    assert.equal(answer.headers.get('x-llm-router-cache'), 'miss')
  }
})

test('every member of the body is part of the key, except those that do not affect the response', async () => {
  const { ask } = await cache()
  const [a, b] = ['9007199254740992', '9007199254740993']
  const withSeed = (seed: string) => `{"model":"m","seed":${seed},"messages":[{"role":"user","content":"x"}]}`
  const raw = (body: string) => Buffer.from(body)
  await ask(raw(withSeed(a)), 'miss')
  await ask(raw(withSeed(b)), 'miss')
  await ask(raw(withSeed(b)), 'hit')
  const base = question()
  await ask(base, 'miss')
  for (const more of [
    { temperature: 0.5 },
    { top_p: 1 },
    { cache_salt: 'x' },
    { unknown_member: 1 },
    { max_tokens: 5 },
  ]) {
    await ask({ ...base, ...more }, 'miss')
    await ask({ ...more, ...base }, 'hit')
  }
  for (const more of [
    { user: 'jan' },
    { metadata: { trace: '1' } },
    { stream_options: { include_usage: true } },
    { trace_id: 'x' },
    { stream: false },
  ])
    await ask({ ...base, ...more }, 'hit')
  await ask({ ...base, model: 'other' }, 'miss')
  await ask({ model: 'm', messages: [{ role: 'system', content: 'Be brief.' }, ...base.messages] }, 'miss')
})

test('configuration errors of a cache prevent startup, each with its path', async () => {
  for (const [entry, expected] of [
    [{ ttl: 0 }, /processors\[0\]\.ttl: .*over 0/],
    [{ max_entry_bytes: 1e9 }, /processors\[0\]\.max_entry_bytes/],
    [{ scope: 'team' }, /processors\[0\]\.scope: .*"client", "group" or "all"/],
    [{ failure: 'closed' }, /processors\[0\]\.failure/],
    [{ models: ['n'] }, /processors\[0\]\.models\[0\]: no active model "n"/],
  ] as const)
    await assert.rejects(
      startRouter({ models: modelsWith([{ type: 'cache', ...entry }], 'http://127.0.0.1:9') }),
      expected,
    )
  await assert.rejects(
    startRouter({
      models: modelsWith([], 'http://127.0.0.1:9'),
      env: { LLM_ROUTER_CACHE_SECRET: 'short' },
    }),
    /LLM_ROUTER_CACHE_SECRET: needs at least/,
  )
})
