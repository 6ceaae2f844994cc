import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RedisServer, startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter } from '../helpers/router.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { connectTo } from './conversation.ts'
import { health, healthEnv, healthExtension } from './health.ts'
import { kill, killExtension } from './kill.ts'
import { leases } from './leases.ts'
import { metrics } from './metrics.ts'
import { slotClients, slots } from './slots.ts'
import { status } from './status.ts'
import { type Config, keyOf, runningWorkers, type Topic, workersCount } from './workers.ts'

const cluster = { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: `${workersCount}` }

let folder: string
let keys: KeysFile

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-cluster-'))
  writeFileSync(join(folder, 'kill.ts'), killExtension)
  writeFileSync(join(folder, 'health.ts'), healthExtension)
  writeFileSync(join(folder, 'crash.ts'), 'process.exit(7)\n')
  keys = keysFile([
    { id: 'everything', key: keyOf('everything'), surfaces: ['openai', 'text', 'operator'] },
    ...slotClients.map((id) => ({ id, key: keyOf(id) })),
  ])
})
after(() => {
  keys.remove()
  rmSync(folder, { recursive: true })
})

/** Starts one cluster for all tests of these topics, in this order. */
function share(topics: readonly Topic[], envOf: () => Promise<Record<string, string>>): void {
  let router: RouterProcess | undefined
  let config: Config
  before(async () => {
    const models: Record<string, object> = {}
    for (const topic of topics) Object.assign(models, await topic.models())
    config = { test_models: models, active_models: { test_models: Object.keys(models) } }
    router = await startRouterProcess({
      models: config,
      env: {
        ...cluster,
        ...keys.env,
        LLM_ROUTER_EXTENSIONS: `${join(folder, 'kill.ts')},${join(folder, 'health.ts')}`,
        LLM_ROUTER_CONFIG_POLL: '0',
        ...(await envOf()),
      },
    })
    await runningWorkers(router)
  })
  after(async () => {
    await router?.stop()
    for (const topic of topics) await topic.close()
  })
  const shared = {
    get router() {
      return router ?? assert.fail('the cluster is not running')
    },
    config: () => config,
  }
  for (const topic of topics) topic.tests(shared)
}

describe('a cluster without Redis', () => {
  // The status first: its numbers include all requests.
  share([status(), kill(), slots('by the primary'), leases()], async () => ({}))
})

describe('a cluster with Redis', () => {
  let redis: RedisServer
  const env = () => ({
    ...keys.env,
    LLM_ROUTER_REDIS_HOST: '127.0.0.1',
    LLM_ROUTER_REDIS_PORT: `${redis.port}`,
  })
  share([slots('in Redis'), leases(() => ({ redis, env: env() }))], async () => {
    redis = await startRedis()
    return env()
  })
  after(() => redis.stop())
})

describe('a cluster with metrics and health checks', () => {
  const measured = metrics()
  share([health(), measured], async () => ({ ...healthEnv, ...(await measured.env()) }))
})

describe('a cluster that cannot work', () => {
  test('a router with an unreachable Redis starts, serves and reports the error', async (t) => {
    const models = modelsConfig({ m: [{ api_type: 'mock' }] })
    const env = { LLM_ROUTER_REDIS_URL: 'redis://:hunter2@127.0.0.1:1/0' }
    const router = await startRouter({ models, env })
    t.after(() => router.close())
    const question = { model: 'm', messages }
    const { status: received } = await connectTo(router)('POST', '/v1/chat/completions', question)
    assert.equal(received, 200)
    const logged = JSON.stringify(router.logs)
    assert.match(logged, /Redis is unavailable/)
    assert.doesNotMatch(logged, /hunter2/)
  })

  test('a worker that keeps crashing ends the primary with exit code 1', async () => {
    const models = modelsConfig({ m: [{ api_type: 'mock' }] })
    const env = {
      ...cluster,
      LLM_ROUTER_SERVER_WORKERS_COUNT: '1',
      LLM_ROUTER_EXTENSIONS: join(folder, 'crash.ts'),
    }
    await assert.rejects(
      startRouterProcess({ models, env }),
      /ended with 1: [\s\S]*worker exited \(exit code 7\)[\s\S]*giving up/,
    )
  })
})
