import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Status } from '../../src/sdk/console/status.ts'
import { type CountingUpstream, startCounting } from '../helpers/counting-upstream.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { type RedisServer, startRedis } from '../helpers/programs/redis-server.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'

const workersCount = 2
const slots = 3

/** A server with slots for one model, and the clients of its requests in order of arrival. */
interface ModelServer {
  readonly counting: CountingUpstream
  readonly arrived: string[]
}

async function openServer(): Promise<ModelServer> {
  const arrived: string[] = []
  const counting = await startCounting(({ body }) => {
    arrived.push(JSON.stringify(body).includes('flood') ? 'flood' : 'single')
  })
  return { counting, arrived }
}

type Model = 'several' | 'one'

/** A cluster with a server that has several slots and one that has a single slot, each with its own model. */
class Cluster {
  readonly servers: Record<Model, ModelServer>
  readonly #router: RouterProcess
  readonly #agents: Agent[] = []

  private constructor(router: RouterProcess, servers: Record<Model, ModelServer>) {
    this.#router = router
    this.servers = servers
  }

  static async open(env: Record<string, string>): Promise<Cluster> {
    const servers = { several: await openServer(), one: await openServer() }
    const over = (model: Model, most: number) => ({
      providers: [
        { id: model, api_type: 'vllm', api_host: servers[model].counting.upstream.url, max_in_flight: most },
      ],
      strategy: 'least_busy',
    })
    const router = await startRouterProcess({
      models: {
        test_models: { several: over('several', slots), one: over('one', 1) },
        active_models: { test_models: Object.keys(servers) },
      },
      env: {
        LLM_ROUTER_SERVER_TYPE: 'cluster',
        LLM_ROUTER_SERVER_WORKERS_COUNT: `${workersCount}`,
        ...env,
      },
    })
    await router.listening(workersCount)
    return new Cluster(router, servers)
  }

  async close(): Promise<void> {
    const servers = Object.values(this.servers)
    for (const { counting } of servers) counting.open()
    await this.#router.stop()
    for (const agent of this.#agents) agent.destroy()
    for (const { counting } of servers) await counting.upstream.close()
  }

  /** Over a new connection, so that the workers get about the same number. */
  ask(model: Model, client = 'flood'): { status: Promise<number>; leave(): void } {
    const agent = new Agent()
    this.#agents.push(agent)
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const asked = request(`${this.#router.url}/v1/chat/completions`, {
      agent,
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${keyOf(client)}` },
    })
    asked.on('error', reject)
    asked.on('response', (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
    asked.end(JSON.stringify({ model, messages: [{ role: 'user', content: client }] }))
    promise.catch(() => undefined) // if it disconnects
    return { status: promise, leave: () => asked.destroy() }
  }

  /** The status once this many requests wait for the model. `count`: called anew each time. */
  async untilWaiting(model: Model, count: () => number): Promise<Status> {
    const signal = AbortSignal.timeout(45_000)
    let waiting: number | undefined
    while (!signal.aborted) {
      // A connection to a worker that dies fails.
      const now = await fetch(`${this.#router.url}/api/status`, { headers: operator })
        .then((response) => response.json() as Promise<Status>)
        .catch(() => undefined)
      if (now) ({ waiting } = inStatus(now, model))
      if (now && waiting === count()) return now
      await setTimeout(20)
    }
    return assert.fail(`${waiting} requests wait, not ${count()}`)
  }
}

function inStatus({ models }: Status, model: Model): Status['models'][number] {
  return models.find(({ name }) => name === model) ?? assert.fail(`no model ${model}`)
}

const keyOf = (id: string) => `sk-llm-router-${id}-0123456789`

const operator = { authorization: `Bearer ${keyOf('operator')}` }

async function until(isSo: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(45_000)
  while (!isSo()) {
    signal.throwIfAborted()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

for (const kept of ['by the primary', 'in Redis'])
  describe(`the slots of a cluster, kept ${kept}`, () => {
    let redis: RedisServer | undefined
    let keys: KeysFile
    let cluster: Cluster
    before(async () => {
      const records = ['flood', 'single', 'operator'].map((id) => ({ id, key: keyOf(id) }))
      keys = keysFile(
        records.map((record) => (record.id === 'operator' ? { ...record, surfaces: ['operator'] } : record)),
      )
      redis = kept === 'in Redis' ? await startRedis() : undefined
      const env = redis ? { LLM_ROUTER_REDIS_URL: `redis://127.0.0.1:${redis.port}` } : {}
      cluster = await Cluster.open({ ...keys.env, ...env })
    })
    after(async () => {
      await cluster.close()
      await redis?.stop()
      keys.remove()
    })

    test('are shared by the workers, even when one of them dies', async () => {
      const server = cluster.servers.several.counting
      const untilWaiting = (count: number) => cluster.untilWaiting('several', () => count)
      const asked = Array.from({ length: 20 }, () => cluster.ask('several'))
      await untilWaiting(20 - slots)
      await until(() => server.running === slots)
      const abandoned = cluster.ask('several')
      await untilWaiting(21 - slots)
      abandoned.leave()
      const { workers } = await untilWaiting(20 - slots)

      const dead = workers.find(({ in_flight }) => in_flight > 0) ?? assert.fail('nobody works')
      let gone = 0
      for (const { status } of asked) status.catch(() => gone++)
      process.kill(dead.pid, 'SIGKILL')
      await cluster.untilWaiting('several', () => (gone === 0 ? Number.NaN : Math.max(0, 20 - gone - slots)))
      server.open()
      const results = await Promise.allSettled(asked.map((each) => each.status))
      const answered = results.filter((result) => result.status === 'fulfilled' && result.value === 200)
      assert.equal(answered.length, 20 - gone)
      assert.ok(server.most <= slots, `${server.most}`)
      assert.equal(inStatus(await untilWaiting(0), 'several').targets[0]?.in_flight, 0)
    })

    test('are all used again after the death of a worker', async () => {
      const asked = Array.from({ length: 10 }, () => cluster.ask('several'))
      assert.deepEqual(new Set(await Promise.all(asked.map((each) => each.status))), new Set([200]))
      assert.equal(cluster.servers.several.counting.most, slots)
    })

    // test/stores/redis/queue.test.ts covers routers with one Redis.
    if (kept === 'in Redis') return

    test('are assigned fairly across workers: many requests of a client delay a single one by one at most', async () => {
      const { counting: server, arrived } = cluster.servers.one
      const untilWaiting = (count: number) => cluster.untilWaiting('one', () => count)
      const asked = Array.from({ length: 16 }, () => cluster.ask('one', 'flood'))
      await untilWaiting(15)
      for (let index = 1; index <= 3; index++) {
        server.answerOne()
        await server.upstream.requestReceived(index)
      }
      asked.push(cluster.ask('one', 'single'))
      await untilWaiting(13)
      for (let index = 4; index <= 5; index++) {
        server.answerOne()
        await server.upstream.requestReceived(index)
      }
      assert.ok(arrived.slice(4, 6).includes('single'), arrived.join(' '))
      server.open()
      assert.deepEqual(new Set(await Promise.all(asked.map((each) => each.status))), new Set([200]))
      assert.equal(server.most, 1)
    })
  })
