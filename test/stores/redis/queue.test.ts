import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Status } from '../../../src/sdk/console/status.ts'
import { type CountingUpstream, startCounting } from '../../helpers/counting-upstream.ts'
import { eventually } from '../../helpers/eventually.ts'
import { post, type RawAnswer } from '../../helpers/http.ts'
import { type RedisServer, startRedis } from '../../helpers/programs/redis-server.ts'
import { startRouter, type TestRouter } from '../../helpers/router.ts'
import { type RouterProcess, startRouterProcess } from '../../helpers/router-process.ts'

const places = 2
let redis: RedisServer
/** The first one is killed, so it has a separate process. */
let routers: [RouterProcess, TestRouter]
let server: CountingUpstream
/** Which router the requests at the server came from, in order. */
const arrived: string[] = []

before(async () => {
  redis = await startRedis()
  server = await startCounting(({ body }) => {
    arrived.push(JSON.stringify(body).includes('first') ? 'first' : 'second')
  })
  const provider = { id: 'box', api_type: 'vllm', api_host: server.upstream.url, max_in_flight: places }
  const models = { test_models: { m: { providers: [provider] } }, active_models: { test_models: ['m'] } }
  const env = { LLM_ROUTER_REDIS_URL: `redis://127.0.0.1:${redis.port}` }
  routers = await Promise.all([startRouterProcess({ models, env }), startRouter({ models, env })])
})
after(async () => {
  server.open()
  await routers[0].stop()
  await routers[1].close()
  await server.upstream.close()
  await redis.stop()
})

function ask(router: number): Promise<RawAnswer> {
  const messages = [{ role: 'user', content: router === 0 ? 'first' : 'second' }]
  return post(`${routers[router]?.url}/v1/chat/completions`, { model: 'm', messages })
}

async function untilWaiting(router: number, count: number): Promise<void> {
  await eventually(async () => {
    const status = (await (await fetch(`${routers[router]?.url}/api/status`)).json()) as Status
    return status.models[0]?.waiting === count
  })
}

test('routers with the same Redis share the slots of a target and take them in turn', async () => {
  const asked = Array.from({ length: 10 }, () => ask(0))
  await untilWaiting(0, 10 - places)
  asked.push(...Array.from({ length: 4 }, () => ask(1)))
  await untilWaiting(1, 4)
  await eventually(() => server.running === places)
  for (let index = places; index < asked.length; index++) {
    server.answerOne()
    await eventually(() => arrived.length === index + 1)
  }
  server.answerOne()
  server.answerOne()
  const answers = await Promise.all(asked)
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.equal(server.most, places)
  // The second router came later, with fewer requests, and does not wait for all of the first.
  const lastOfSecond = arrived.lastIndexOf('second')
  assert.ok(lastOfSecond <= places + 2 * 4 + 1, arrived.join(' '))
})

test('the slots of a killed router become free, and the other one uses them', async () => {
  const lost = [ask(0), ask(0)].map((asked) => asked.catch(() => undefined))
  await eventually(() => server.running === places)
  const next = ask(1)
  await untilWaiting(1, 1)
  await routers[0].stop()
  await Promise.all(lost)
  await eventually(() => server.running === 1)
  server.answerOne()
  server.answerOne()
  server.answerOne()
  assert.equal((await next).status, 200)
  assert.ok(server.most <= places, `${server.most}`)
})
