import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import type { Status } from '../src/sdk/console/status.ts'
import { type CountingUpstream, startCounting } from './helpers/counting-upstream.ts'
import { keysFile } from './helpers/keys-file.ts'
import { type RedisServer, startRedis } from './helpers/programs/redis-server.ts'
import { type RouterProcess, startRouterProcess } from './helpers/router-process.ts'

const workersCount = 2
const places = 3

/** A cluster over one server with places, its requests, and what they wait for. */
class Cluster {
  readonly box: CountingUpstream
  /** Clients of the requests at the server, in order. */
  readonly arrived: string[] = []
  readonly #router: RouterProcess
  readonly #agents: Agent[] = []

  private constructor(router: RouterProcess, box: CountingUpstream, arrived: string[]) {
    this.#router = router
    this.box = box
    this.arrived = arrived
  }

  static async open(most: number, env: Record<string, string>): Promise<Cluster> {
    const arrived: string[] = []
    const box = await startCounting(({ body }) => {
      arrived.push(JSON.stringify(body).includes('flood') ? 'flood' : 'single')
    })
    const provider = { id: 'box', api_type: 'vllm', api_host: box.upstream.url, max_in_flight: most }
    const router = await startRouterProcess({
      models: {
        test_models: { m: { providers: [provider], strategy: 'least_busy' } },
        active_models: { test_models: ['m'] },
      },
      env: {
        LLM_ROUTER_SERVER_TYPE: 'cluster',
        LLM_ROUTER_SERVER_WORKERS_COUNT: `${workersCount}`,
        ...env,
      },
    })
    await router.listening(workersCount)
    return new Cluster(router, box, arrived)
  }

  async close(): Promise<void> {
    this.box.open()
    await this.#router.stop()
    for (const agent of this.#agents) agent.destroy()
    await this.box.upstream.close()
  }

  /** Over a connection of its own, so that the workers get about the same number. */
  ask(client = 'flood'): { status: Promise<number>; leave(): void } {
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
    asked.end(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: client }] }))
    promise.catch(() => undefined) // of one that leaves
    return { status: promise, leave: () => asked.destroy() }
  }

  async untilWaiting(count: number): Promise<Status> {
    const signal = AbortSignal.timeout(45_000)
    const headers = { authorization: `Bearer ${keyOf('operator')}` }
    for (;;) {
      // A connection to a worker that dies is lost.
      const now = await fetch(`${this.#router.url}/api/status`, { headers })
        .then((response) => response.json() as Promise<Status>)
        .catch(() => undefined)
      if (now?.models[0]?.waiting === count) return now
      signal.throwIfAborted()
    }
  }
}

const keyOf = (id: string) => `sk-llm-router-${id}-0123456789`

async function until(isSo: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(45_000)
  while (!isSo()) {
    signal.throwIfAborted()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

for (const kept of ['by the primary', 'in Redis'])
  describe(`places of a cluster, kept ${kept}`, () => {
    let redis: RedisServer | undefined
    let cluster: Cluster
    before(async () => {
      redis = kept === 'in Redis' ? await startRedis() : undefined
      const env = redis ? { LLM_ROUTER_REDIS_URL: `redis://127.0.0.1:${redis.port}` } : {}
      cluster = await Cluster.open(places, env)
    })
    after(async () => {
      await cluster.close()
      await redis?.stop()
    })

    test('the workers share them, also when one of them dies', async () => {
      const { box } = cluster
      const asked = Array.from({ length: 20 }, () => cluster.ask())
      await cluster.untilWaiting(20 - places)
      await until(() => box.running === places)
      const leaver = cluster.ask()
      await cluster.untilWaiting(21 - places)
      leaver.leave()
      // Only now have all of them arrived, so that what each worker has stays as it is.
      const { workers } = await cluster.untilWaiting(20 - places)

      const dead = workers.find(({ in_flight }) => in_flight > 0) ?? assert.fail('nobody works')
      process.kill(dead.pid, 'SIGKILL')
      const gone = dead.in_flight + dead.waiting
      await cluster.untilWaiting(Math.max(0, 20 - gone - places))
      box.open()
      const results = await Promise.allSettled(asked.map((each) => each.status))
      const answered = results.filter((result) => result.status === 'fulfilled' && result.value === 200)
      assert.equal(answered.length, 20 - gone)
      assert.ok(box.most <= places, `${box.most}`)
      assert.equal((await cluster.untilWaiting(0)).models[0]?.targets[0]?.in_flight, 0)
    })

    test('all of them are used again after that', async () => {
      const asked = Array.from({ length: 10 }, () => cluster.ask())
      assert.deepEqual(new Set(await Promise.all(asked.map((each) => each.status))), new Set([200]))
      assert.equal(cluster.box.most, places)
    })
  })

test('the order is fair over the workers: a client with many requests delays a single one by one at most', async (t) => {
  const records = ['flood', 'single', 'operator'].map((id) => ({ id, key: keyOf(id) }))
  const keys = keysFile(
    records.map((record) => (record.id === 'operator' ? { ...record, surfaces: ['operator'] } : record)),
  )
  const cluster = await Cluster.open(1, keys.env)
  t.after(async () => {
    await cluster.close()
    keys.remove()
  })
  const { box, arrived } = cluster
  const asked = Array.from({ length: 16 }, () => cluster.ask('flood'))
  await cluster.untilWaiting(15)
  for (let index = 1; index <= 3; index++) {
    box.answerOne()
    await box.upstream.requestReceived(index)
  }
  asked.push(cluster.ask('single'))
  await cluster.untilWaiting(13)
  for (let index = 4; index <= 5; index++) {
    box.answerOne()
    await box.upstream.requestReceived(index)
  }
  assert.ok(arrived.slice(4, 6).includes('single'), arrived.join(' '))
  box.open()
  assert.deepEqual(new Set(await Promise.all(asked.map((each) => each.status))), new Set([200]))
  assert.equal(box.most, 1)
})
