import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { EngineSignals } from '../../src/sdk/engine-signals.ts'
import { type CountingUpstream, startCounting } from '../helpers/counting-upstream.ts'
import { eventually } from '../helpers/eventually.ts'
import { openRequest, post, type RawAnswer } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'
import { SharedRouter } from '../helpers/shared-router.ts'

const body = { model: 'm', messages: [{ role: 'user', content: 'x' }] }
const path = '/v1/chat/completions'
const within = (ms: string) => ({ 'content-type': 'application/json', 'x-llm-router-deadline-ms': ms })

const shared = new SharedRouter()
after(() => shared.close())

interface Setting {
  servers: CountingUpstream[]
  router: TestRouter
  ask(): Promise<RawAnswer>
}

/** One server for each limit; `undefined`: no limit. */
async function setUp(
  t: { after(fn: () => Promise<void>): void },
  limits: readonly (number | 'auto' | undefined)[],
  { strategy = 'balanced', type = 'vllm', env = {} } = {},
): Promise<Setting> {
  const servers = await Promise.all(limits.map(() => startCounting()))
  const providers = servers.map(({ upstream: { url } }, index) => ({
    id: `box${index}`,
    api_type: type,
    api_host: url,
    ...(limits[index] === undefined ? {} : { max_in_flight: limits[index] }),
  }))
  const models = { test_models: { m: { providers, strategy } }, active_models: { test_models: ['m'] } }
  const router = await shared.with(models, env)
  t.after(async () => {
    for (const server of servers) server.open()
    await Promise.all(servers.map(({ upstream }) => upstream.close()))
    await router.close()
  })
  return { servers, router, ask: () => post(`${router.url}${path}`, body) }
}

function waiting({ app }: TestRouter): number {
  return app.balancer.waiting(app.models.find('m') ?? assert.fail('no model'))
}

/** Sets what the engines reported at the last poll. */
function say({ app }: TestRouter, engine: EngineSignals): void {
  const model = app.models.find('m') ?? assert.fail('no model')
  for (const signals of app.balancer.signals(model)) Object.assign(signals, { engine })
}

const statuses = (answers: readonly RawAnswer[]): unknown[] => [
  ...new Set(answers.map(({ status }) => status)),
]

for (const strategy of [
  'balanced',
  'weighted',
  'dynamic_weighted',
  'least_busy',
  'adaptive',
  'cache_aware',
  'first_available',
])
  test(`no target exceeds its max_in_flight with ${strategy}, and all requests are answered`, async (t) => {
    const { servers, router, ask } = await setUp(t, [2, 3], { strategy })
    const asked = Array.from({ length: 30 }, ask)
    const running = () => servers.reduce((sum, server) => sum + server.running, 0)
    await eventually(() => waiting(router) === 25 && running() >= 5)
    assert.deepEqual(
      servers.map(({ running }) => running),
      [2, 3],
    )
    for (const server of servers) server.open()
    assert.deepEqual(statuses(await Promise.all(asked)), [200])
    assert.deepEqual(
      servers.map(({ most }) => most),
      [2, 3],
    )
    const signals = router.app.balancer.signals(router.app.models.find('m') ?? assert.fail('no model'))
    assert.deepEqual([signals.reduce((sum, { uses }) => sum + uses, 0), waiting(router)], [30, 0])
  })

test('the strategy chooses among targets with a free slot', async (t) => {
  const { servers, ask } = await setUp(t, [10, 10, 10], { strategy: 'balanced' })
  for (const server of servers) server.open()
  for (let index = 0; index < 12; index++) await ask()
  assert.deepEqual(
    servers.map(({ upstream }) => upstream.requests.length),
    [4, 4, 4],
  )
})

test('requests beyond the limits are sent to a target without a limit, and none waits', async (t) => {
  const { servers, router, ask } = await setUp(t, [1, undefined], { strategy: 'least_busy' })
  const asked = Array.from({ length: 9 }, ask)
  await eventually(() => servers.reduce((sum, { running }) => sum + running, 0) === 9)
  assert.deepEqual(
    servers.map(({ running }) => running),
    [1, 8],
  )
  assert.equal(waiting(router), 0)
  for (const server of servers) server.open()
  assert.deepEqual(statuses(await Promise.all(asked)), [200])
})

test('a client that disconnects frees its slot, in the queue and at the target', async (t) => {
  const {
    servers: [server = assert.fail('no server')],
    router,
    ask,
  } = await setUp(t, [1])
  const abandoned = await openRequest(router.url, path, body)
  await eventually(() => server.running === 1)
  const queued = await openRequest(router.url, path, body)
  await eventually(() => waiting(router) === 1)
  queued.destroy()
  await eventually(() => waiting(router) === 0)
  const next = ask()
  await eventually(() => waiting(router) === 1)
  abandoned.destroy()
  await server.upstream.requestReceived(1)
  assert.equal(waiting(router), 0)
  server.open()
  assert.equal((await next).status, 200)
  assert.equal(server.upstream.requests.length, 2)
})

test('a freed slot is used immediately', async (t) => {
  const {
    servers: [server = assert.fail('no server')],
    router,
    ask,
  } = await setUp(t, [1])
  const asked = Array.from({ length: 21 }, ask)
  await eventually(() => waiting(router) === 20 && server.running === 1)
  const begun = performance.now()
  for (let index = 1; index <= 20; index++) {
    server.answerOne()
    await server.upstream.requestReceived(index)
  }
  // Without a release that wakes the queue, each would wait for half a second.
  assert.ok(performance.now() - begun < 5_000)
  server.open()
  assert.deepEqual(statuses(await Promise.all(asked)), [200])
})

test('a full queue rejects with 503 and a Retry-After that grows with the number of waiting requests', async (t) => {
  const env = { LLM_ROUTER_QUEUE_SIZE: '2' }
  const {
    servers: [server = assert.fail('no server')],
    router,
    ask,
  } = await setUp(t, [1], { env })
  const asked = [ask()]
  await eventually(() => server.running === 1)
  asked.push(ask(), ask())
  await eventually(() => waiting(router) === 2)
  // The queue does not move: each second that passes adds two seconds to the estimate for a request behind two others.
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  const refused = await ask()
  assert.equal(refused.status, 503)
  assert.equal(JSON.parse(refused.text).error.code, 'queue_full')
  const retryAfter = Number(refused.headers.get('retry-after'))
  assert.ok(retryAfter >= 4 && retryAfter < 60, `${retryAfter}`)
  server.open()
  assert.deepEqual(statuses(await Promise.all(asked)), [200])
})

test('auto is one request for LM Studio and for Ollama', async (t) => {
  const {
    servers: [server = assert.fail('no server')],
    router,
    ask,
  } = await setUp(t, ['auto'], { type: 'lmstudio' })
  const asked = Array.from({ length: 4 }, ask)
  await eventually(() => waiting(router) === 3)
  server.open()
  assert.deepEqual(statuses(await Promise.all(asked)), [200])
  assert.equal(server.most, 1)
})

test('auto is the number of slots for llama.cpp, even if it fails to respond once', async (t) => {
  const {
    servers: [server = assert.fail('no server')],
    router,
    ask,
  } = await setUp(t, ['auto'], { type: 'llamacpp' })
  say(router, { slots: 3 })
  const asked = Array.from({ length: 5 }, ask)
  await eventually(() => waiting(router) === 2 && server.running >= 3)
  assert.equal(server.running, 3)
  say(router, {})
  asked.push(ask())
  await eventually(() => waiting(router) === 3)
  server.open()
  assert.deepEqual(statuses(await Promise.all(asked)), [200])
  assert.equal(server.most, 3)
})

test('auto is the number of concurrent requests that SGLang reports', async (t) => {
  const {
    servers: [server = assert.fail('no server')],
    router,
    ask,
  } = await setUp(t, ['auto'], { type: 'openai' })
  say(router, { maxRunning: 2 })
  const asked = Array.from({ length: 5 }, ask)
  await eventually(() => waiting(router) === 3 && server.running >= 2)
  assert.equal(server.running, 2)
  server.open()
  assert.deepEqual(statuses(await Promise.all(asked)), [200])
})

test('with auto, requests for vLLM wait in the router while vLLM has requests in its own queue', async (t) => {
  const {
    servers: [server = assert.fail('no server')],
    router,
    ask,
  } = await setUp(t, ['auto'])
  const asked = Array.from({ length: 4 }, ask)
  await eventually(() => server.running === 4)
  say(router, { waiting: 1 })
  asked.push(ask(), ask())
  await eventually(() => waiting(router) === 2)
  assert.equal(server.running, 4)
  say(router, { waiting: 0 })
  await eventually(() => server.running === 6)
  server.open()
  assert.deepEqual(statuses(await Promise.all(asked)), [200])
})

test('a request whose deadline passes while it waits gets 504 in time, and is never sent', async (t) => {
  const {
    servers: [server = assert.fail('no server')],
    router,
    ask,
  } = await setUp(t, [1])
  const held = ask()
  await eventually(() => server.running === 1)
  const late = await post(`${router.url}${path}`, body, within('100'))
  assert.equal(late.status, 504)
  assert.equal(JSON.parse(late.text).error.code, 'deadline_exceeded')
  const messages = { model: 'm', max_tokens: 10, messages: body.messages }
  const other = await post(`${router.url}/v1/messages`, messages, within('100'))
  assert.equal(other.status, 504)
  assert.equal(JSON.parse(other.text).type, 'error')
  server.open()
  assert.equal((await held).status, 200)
  assert.equal((await ask()).status, 200)
  assert.equal(server.upstream.requests.length, 2)
})

test('a request within its deadline is served, and an invalid deadline is a 400', async (t) => {
  const {
    servers: [server = assert.fail('no server')],
    router,
  } = await setUp(t, [1])
  server.open()
  const url = `${router.url}${path}`
  assert.equal((await post(url, body, within('60000'))).status, 200)
  for (const value of ['soon', '-1', '0', '1.5']) {
    const refused = await post(url, body, within(value))
    assert.equal(refused.status, 400, value)
    assert.match(refused.text, /x-llm-router-deadline-ms/)
  }
})

test('no attempt begins after the deadline', async (t) => {
  const failing = await startUpstream(async () => {
    await new Promise((resolve) => setTimeout(resolve, 150)) // longer than the client waits
    return { kind: 'reset' }
  })
  const spare = await startUpstream(openaiText('Hi'))
  const providers = [failing, spare].map(({ url }) => ({ api_type: 'vllm', api_host: url }))
  const router = await startRouter({
    models: { test_models: { m: { providers } }, active_models: { test_models: ['m'] } },
  })
  t.after(async () => {
    await Promise.all([failing.close(), spare.close()])
    await router.close()
  })
  const late = await post(`${router.url}${path}`, body, within('100'))
  assert.equal(late.status, 504)
  assert.equal(spare.requests.length, 0)
  assert.equal((await post(`${router.url}${path}`, body)).status, 200)
})
