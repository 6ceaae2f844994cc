import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { byPath, text, vllmMetrics } from '../helpers/engine-answers.ts'
import { closedPort, freePort, openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'
import { engineOf, statusWhen } from '../helpers/status-events.ts'

const path = '/v1/chat/completions'
const ask = (router: TestRouter, model = 'm', rest: object = {}) =>
  post(router.url + path, { model, messages, ...rest })

function held(models: Record<string, object[]>, hold_timeout: number): Record<string, unknown> {
  const group = Object.fromEntries(
    Object.entries(models).map(([alias, providers]) => [alias, { hold_timeout, providers }]),
  )
  return { g: group, active_models: { g: Object.keys(models) } }
}

test("a request whose model's server is down waits for it, with keep-alives in its stream", async (t) => {
  const port = await freePort()
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '0.2', LLM_ROUTER_STREAM_KEEPALIVE: '0.1' },
    models: held({ m: [{ id: 'a', api_type: 'vllm', api_host: `http://127.0.0.1:${port}` }] }, 60),
  })
  t.after(() => router.close())
  const whole = ask(router)
  const streamed = await fetch(router.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages, stream: true }),
  })
  assert.equal(streamed.status, 200) // headers are sent with the first keep-alive
  await statusWhen(router.url, ({ models }) => models[0]?.waiting === 2)
  const server = await startUpstream(
    ({ url, body }) => {
      if (url !== path) return { kind: 'reply', body: '' } // a health check
      return Object(body).stream === true ? openaiStream(['Hi']) : openaiText('Hi')
    },
    { port },
  )
  t.after(() => server.close())
  assert.equal((await whole).status, 200)
  assert.match(await streamed.text(), /^: [\s\S]*Hi[\s\S]*\[DONE\]/)
  assert.ok(server.requests.filter(({ url }) => url === path).length >= 2)
})

test('a held request is rejected at the end of its wait, and immediately by default', async (t) => {
  const api_host = await closedPort()
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '0.2' },
    models: {
      g: {
        short: { hold_timeout: 1, providers: [{ id: 'a', api_type: 'vllm', api_host }] },
        never: { providers: [{ id: 'b', api_type: 'vllm', api_host }] },
        helped: {
          hold_timeout: 60,
          fallbacks: ['demo'],
          providers: [{ id: 'c', api_type: 'vllm', api_host }],
        },
        empty: { hold_timeout: 1, providers: [] },
        demo: { providers: [{ id: 'd', api_type: 'mock' }] },
      },
      active_models: { g: ['short', 'never', 'helped', 'empty', 'demo'] },
    },
  })
  t.after(() => router.close())
  const timed = async (model: string) => {
    const from = performance.now()
    const { status } = await ask(router, model)
    return { status, ms: performance.now() - from }
  }
  const [short, never, helped, empty] = await Promise.all(['short', 'never', 'helped', 'empty'].map(timed))
  assert.ok(short && short.status >= 502 && short.ms >= 1_000, JSON.stringify(short))
  assert.ok(never && never.status >= 502)
  assert.equal(helped?.status, 200)
  assert.ok(empty && empty.status === 503 && empty.ms >= 1_000, JSON.stringify(empty))
})

test('a client that disconnects is no longer held', async (t) => {
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '0.2' },
    models: held({ m: [{ id: 'a', api_type: 'vllm', api_host: await closedPort() }] }, 60),
  })
  t.after(() => router.close())
  const client = await openRequest(router.url, path, { model: 'm', messages }, 'left')
  await statusWhen(router.url, ({ models }) => models[0]?.waiting === 1)
  client.destroy()
  await once(client, 'close')
  assert.equal((await router.requestLogged('left')).status, 499)
  await statusWhen(router.url, ({ models }) => models[0]?.waiting === 0)
})

/** A vLLM server that sleeps until it is woken, and does not answer chats before. */
async function startSleeper(
  t: TestContext,
  sleep: 'weights_offloaded' | 'discard_all',
): Promise<ScriptedUpstream> {
  let isAsleep = true
  const upstream = await startUpstream(
    byPath({
      '/health': { kind: 'reply', body: '' },
      '/is_sleeping': () => ({ kind: 'reply', body: { is_sleeping: isAsleep } }),
      '/metrics': () => text(vllmMetrics({ sleep: isAsleep ? sleep : 'awake' })),
      '/wake_up': () => {
        isAsleep = false
        return { kind: 'reply', body: '' }
      },
      [path]: () => (isAsleep ? { kind: 'hang' } : openaiText('Hi')),
    }),
  )
  t.after(() => upstream.close())
  return upstream
}

const wakeUps = ({ requests }: ScriptedUpstream) =>
  requests.filter(({ url, method }) => url === '/wake_up' && method === 'POST').length

test('the first request to a sleeping vLLM wakes it once, and all waiting requests are served', async (t) => {
  const upstream = await startSleeper(t, 'weights_offloaded')
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '1' },
    models: modelsConfig({ m: [{ id: 'a', api_type: 'vllm', api_host: upstream.url, wake: true }] }),
  })
  t.after(() => router.close())
  await engineOf(router.url, 'a', (engine) => engine?.sleep === 'weights_offloaded')
  const answers = await Promise.all([ask(router), ask(router), ask(router)])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  )
  assert.equal(wakeUps(upstream), 1)
})

for (const [words, sleep, wake] of [
  ['that has dropped its weights', 'discard_all', true],
  ['without the permission', 'weights_offloaded', false],
] as const)
  test(`a vLLM ${words} is not woken`, async (t) => {
    const upstream = await startSleeper(t, sleep)
    const router = await startRouter({
      env: { LLM_ROUTER_HEALTH_INTERVAL: '1' },
      models: modelsConfig({ m: [{ id: 'a', api_type: 'vllm', api_host: upstream.url, wake }] }),
    })
    t.after(() => router.close())
    await engineOf(router.url, 'a', (engine) => engine?.sleep === sleep)
    assert.equal((await ask(router)).status, 503)
    assert.equal(wakeUps(upstream), 0)
  })
