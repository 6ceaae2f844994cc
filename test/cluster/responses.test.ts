import { type TestContext, test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { answer, connectTo, converse } from './conversation.ts'

async function start(t: TestContext, env: Record<string, string>): Promise<TestRouter> {
  const router = await startRouter({ models: modelsConfig({ mock: [{ api_type: 'mock' }] }), env })
  t.after(() => router.close())
  return router
}

// test/cluster/kill.ts covers the workers of one machine.
test('stored responses are available to all routers with one Redis, including those that start later', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const env = { LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: `${redis.port}` }
  const one = connectTo(await start(t, env))
  const two = connectTo(await start(t, env))
  await converse(one, two)
  const { id } = await answer(one, 'the last one')
  const later = connectTo(await start(t, env))
  await answer(later, 'and then', id)
})
