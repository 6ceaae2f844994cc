import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { closedPort, openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { statusWhen } from '../helpers/status-events.ts'

const key = 'sk-operator-0123456789'
const path = '/v1/chat/completions'

async function start(t: TestContext, env: Record<string, string> = {}): Promise<TestRouter> {
  const upstream = await startUpstream({ kind: 'hang' })
  t.after(() => upstream.close())
  const provider = (id: string, api_host: string) => ({ id, api_type: 'openai', api_host })
  const router = await startRouter({
    env,
    models: {
      g: {
        'org/busy': { providers: [provider('a', upstream.url)] },
        cold: { providers: [provider('b', await closedPort())] },
        waiting: { hold_timeout: 60, providers: [] },
      },
      active_models: { g: ['org/busy', 'cold', 'waiting'] },
    },
  })
  t.after(() => router.close())
  return router
}

async function scaleOf(router: TestRouter, model: string): Promise<Record<string, number>> {
  return JSON.parse(await (await fetch(`${router.url}/api/scaling/${model}`)).text())
}

async function open(router: TestRouter, model: string): Promise<() => Promise<void>> {
  const client = await openRequest(router.url, path, { model, messages })
  return async () => {
    client.destroy()
    await once(client, 'close')
  }
}

test("a model's demand counts running and waiting requests, and those of the last minute without a server", async (t) => {
  const router = await start(t)
  assert.deepEqual(await scaleOf(router, 'org/busy'), { value: 0, running: 0, waiting: 0, ready: 1 })
  const leave = [await open(router, 'org/busy'), await open(router, 'waiting')]
  await statusWhen(
    router.url,
    ({ models }) => models[0]?.targets[0]?.in_flight === 1 && models[2]?.waiting === 1,
  )
  assert.deepEqual(await scaleOf(router, 'org/busy'), { value: 1, running: 1, waiting: 0, ready: 1 })
  assert.deepEqual(await scaleOf(router, 'waiting'), { value: 1, running: 0, waiting: 1, ready: 0 })
  const refused = await post(router.url + path, { model: 'cold', messages })
  assert.ok(refused.status >= 502)
  await router.requestLogged(refused.headers.get('x-request-id') ?? '')
  const { value, running } = await scaleOf(router, 'cold')
  assert.deepEqual([value, running], [1, 0])
  assert.equal((await fetch(`${router.url}/api/scaling/nobody`)).status, 404)
  await Promise.all(leave.map((each) => each()))
})

test('reading the demand requires an operator key', async (t) => {
  const router = await start(t, { LLM_ROUTER_ADMIN_KEY: key })
  const ask = (headers: Record<string, string>) => fetch(`${router.url}/api/scaling/cold`, { headers })
  const status = await fetch(`${router.url}/api/status`)
  assert.equal((await ask({})).status, status.status)
  assert.equal((await ask({ authorization: `Bearer ${key}` })).status, 200)
})

test('with Redis the demand is the sum over all routers', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const env = {
    LLM_ROUTER_HEALTH_INTERVAL: '5',
    LLM_ROUTER_REDIS_HOST: '127.0.0.1',
    LLM_ROUTER_REDIS_PORT: `${redis.port}`,
  }
  const [first, second] = [await start(t, env), await start(t, env)]
  const leave = [await open(first, 'org/busy'), await open(second, 'org/busy')]
  // Routers exchange this every two seconds.
  for (const router of [first, second])
    for (let scale = await scaleOf(router, 'org/busy'); scale.running !== 2; )
      scale = await scaleOf(router, 'org/busy')
  assert.deepEqual(await scaleOf(first, 'org/busy'), { value: 2, running: 2, waiting: 0, ready: 1 })
  await Promise.all(leave.map((each) => each()))
})
