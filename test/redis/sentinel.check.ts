import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import {
  type RedisSentinels,
  sentinelPassword,
  startRedisSentinels,
} from '../helpers/programs/redis-sentinel.ts'
import { underLoad } from './under-load.ts'

async function open(t: TestContext): Promise<{ sentinels: RedisSentinels; env: Record<string, string> }> {
  const sentinels = await startRedisSentinels()
  t.after(() => sentinels.stop())
  const env = {
    LLM_ROUTER_REDIS_URL: sentinels.url,
    LLM_ROUTER_REDIS_SENTINEL_PASSWORD: sentinelPassword,
  }
  return { sentinels, env }
}

async function untilReplaced(sentinels: RedisSentinels, port: number): Promise<void> {
  await eventually(async () => (await sentinels.master()).port !== port)
}

for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
  test(`Sentinel: a master ended by ${signal} is replaced, requests succeed, and no target is leased twice`, async (t) => {
    const { sentinels, env } = await open(t)
    const { statuses, most } = await underLoad(t, env, async () => {
      const master = await sentinels.master()
      master.process.kill(signal)
      await untilReplaced(sentinels, master.port)
      // After its return it still considers itself the master for a moment.
      master.process.kill('SIGCONT')
    })
    assert.deepEqual([...statuses], [200])
    assert.equal(most, 1)
  })
}

test('if no Sentinel is reachable, the log says so without a password', async (t) => {
  const { sentinels, env } = await open(t)
  await sentinels.stop()
  const { startRouterProcess } = await import('../helpers/router-process.ts')
  const models = {
    test_models: {
      m: { providers: [{ id: 'b', api_type: 'vllm', api_host: 'http://127.0.0.1:1', max_in_flight: 1 }] },
    },
    active_models: { test_models: ['m'] },
  }
  const router = await startRouterProcess({ models, env })
  t.after(() => router.stop())
  const { error } = await router.logged(({ msg }) => msg === 'Redis is unavailable')
  assert.match(String(error), /sentinels are unreachable/)
  assert.doesNotMatch(router.output(), new RegExp(sentinelPassword))
})
