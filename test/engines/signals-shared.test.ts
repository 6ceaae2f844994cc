import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Status } from '../../src/sdk/console/status.ts'
import { byPath, text, vllmMetrics } from '../helpers/engine-answers.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { engineOf, targetIn } from '../helpers/status-events.ts'

/** Two seconds, less what a busy machine may delay the arrival of a poll. */
const minPauseMs = 1_500

interface Polled extends ScriptedUpstream {
  readonly polls: readonly number[]
  /** Fulfilled at the poll with this index. */
  polled(index: number): Promise<void>
}

/** A vLLM server that records when it is polled. */
async function startEngine(t: TestContext, isUp = () => true): Promise<Polled> {
  const polls: number[] = []
  const waiting: { index: number; resolve: () => void }[] = []
  const upstream = await startUpstream(
    byPath({
      '/health': { kind: 'reply', body: '' },
      '/metrics': () => {
        polls.push(performance.now())
        for (const { index, resolve } of waiting) if (polls.length > index) resolve()
        return isUp() ? text(vllmMetrics({ running: 3 })) : { kind: 'reply', status: 500, body: '' }
      },
    }),
  )
  t.after(() => upstream.close())
  return Object.assign(upstream, {
    polls,
    polled: (index: number) =>
      new Promise<void>((resolve) => {
        if (polls.length > index) resolve()
        else waiting.push({ index, resolve })
      }),
  })
}

function pausesOf({ polls }: Polled): number[] {
  return polls.slice(1).map((at, index) => at - (polls[index] ?? 0))
}

const models = (url: string) => modelsConfig({ m: [{ id: 'a', api_type: 'vllm', api_host: url }] })

test('in a cluster one process polls the engines, and every worker has the result', async (t) => {
  const engine = await startEngine(t)
  const router = await startRouterProcess({
    env: {
      LLM_ROUTER_HEALTH_INTERVAL: '5',
      LLM_ROUTER_SERVER_TYPE: 'cluster',
      LLM_ROUTER_SERVER_WORKERS_COUNT: '3',
    },
    models: models(engine.url),
  })
  t.after(() => router.stop())
  await router.listening(3)
  await engine.polled(2)
  const answered = new Set<number>()
  while (answered.size < 2) {
    // Any worker may accept each of the connections.
    const all = await Promise.all(Array.from({ length: 20 }, () => fetch(`${router.url}/api/status`)))
    for (const answer of all) {
      const status: Status = JSON.parse(await answer.text())
      assert.equal(targetIn(status, 'a')?.engine?.running, 3)
      answered.add(status.worker)
    }
  }
  assert.ok(
    pausesOf(engine).every((pause) => pause >= minPauseMs),
    `${pausesOf(engine)}`,
  )
})

test('with Redis one router polls for all, and another takes over when it stops', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const engine = await startEngine(t)
  const env = {
    LLM_ROUTER_HEALTH_INTERVAL: '5',
    LLM_ROUTER_REDIS_HOST: '127.0.0.1',
    LLM_ROUTER_REDIS_PORT: `${redis.port}`,
    // Has no effect with Redis.
    LLM_ROUTER_REPLICAS: '100',
  }
  const first = await startRouter({ env, models: models(engine.url) })
  await engineOf(first.url, 'a')
  const second = await startRouter({ env, models: models(engine.url) })
  t.after(() => second.close())
  assert.equal((await engineOf(second.url, 'a'))?.running, 3)
  await engine.polled(engine.polls.length + 1)
  assert.ok(
    pausesOf(engine).every((pause) => pause >= minPauseMs),
    `${pausesOf(engine)}`,
  )
  await first.close()
  await engine.polled(engine.polls.length + 1)
  assert.equal((await engineOf(second.url, 'a'))?.running, 3)
})

test('without Redis the polling interval grows with the number of routers', async (t) => {
  const engine = await startEngine(t)
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '5', LLM_ROUTER_REPLICAS: '3' },
    models: models(engine.url),
  })
  t.after(() => router.close())
  await engine.polled(1)
  assert.ok((pausesOf(engine)[0] ?? 0) >= 5_500, `${pausesOf(engine)}`)
})
