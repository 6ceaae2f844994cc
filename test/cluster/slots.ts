import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { after, test } from 'node:test'
import type { Status } from '../../src/sdk/console/status.ts'
import { type CountingUpstream, startCounting } from '../helpers/counting-upstream.ts'
import { eventually } from '../helpers/eventually.ts'
import { bearer } from '../helpers/keys-file.ts'
import { everything, keyOf, runningWorkers, type Topic } from './workers.ts'

const slotsCount = 3

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

/** The clients of the tests below. */
export const slotClients = ['flood', 'single'] as const

/** A server with several slots and one with a single slot, each with its own model, and the queues for them. */
export function slots(kept: 'by the primary' | 'in Redis'): Topic {
  let servers: Record<Model, ModelServer>
  return {
    async models() {
      servers = { several: await openServer(), one: await openServer() }
      const over = (model: Model, most: number) => {
        const api_host = servers[model].counting.upstream.url
        const providers = [{ id: model, api_type: 'vllm', api_host, max_in_flight: most }]
        return { providers, strategy: 'least_busy' }
      }
      return { several: over('several', slotsCount), one: over('one', 1) }
    },
    async close() {
      for (const { counting } of Object.values(servers)) {
        counting.open()
        await counting.upstream.close()
      }
    },
    tests: (cluster) => slotTests(cluster, kept, () => servers),
  }
}

function slotTests(
  cluster: Parameters<Topic['tests']>[0],
  kept: 'by the primary' | 'in Redis',
  servers: () => Record<Model, ModelServer>,
): void {
  const agents: Agent[] = []
  after(() => {
    for (const agent of agents) agent.destroy()
  })

  /** Over a new connection, so that the workers get about the same number. */
  function ask(
    model: Model,
    client: (typeof slotClients)[number] = 'flood',
  ): { status: Promise<number>; leave(): void } {
    const agent = new Agent()
    agents.push(agent)
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const asked = request(`${cluster.router.url}/v1/chat/completions`, {
      agent,
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(keyOf(client)) },
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
  async function untilWaiting(model: Model, count: () => number): Promise<Status> {
    return await eventually(async () => {
      // A connection to a worker that dies fails.
      const status = await fetch(`${cluster.router.url}/api/status`, { headers: everything })
        .then((response) => response.json() as Promise<Status>)
        .catch(() => undefined)
      return status !== undefined && inStatus(status, model).waiting === count() && status
    })
  }

  test(`the slots of a cluster, kept ${kept}, are shared by the workers, even when one of them dies`, async () => {
    await runningWorkers(cluster.router)
    const server = servers().several.counting
    const untilSeveralWait = (count: number) => untilWaiting('several', () => count)
    const asked = Array.from({ length: 20 }, () => ask('several'))
    await untilSeveralWait(20 - slotsCount)
    await eventually(() => server.running === slotsCount)
    const abandoned = ask('several')
    await untilSeveralWait(21 - slotsCount)
    abandoned.leave()
    const { workers } = await untilSeveralWait(20 - slotsCount)

    const dead = workers.find(({ in_flight }) => in_flight > 0) ?? assert.fail('nobody works')
    let gone = 0
    for (const { status } of asked) status.catch(() => gone++)
    process.kill(dead.pid, 'SIGKILL')
    await untilWaiting('several', () => (gone === 0 ? Number.NaN : Math.max(0, 20 - gone - slotsCount)))
    server.open()
    const results = await Promise.allSettled(asked.map((each) => each.status))
    const answered = results.filter((result) => result.status === 'fulfilled' && result.value === 200)
    assert.equal(answered.length, 20 - gone)
    assert.ok(server.most <= slotsCount, `${server.most}`)
    assert.equal(inStatus(await untilSeveralWait(0), 'several').targets[0]?.in_flight, 0)
  })

  test(`the slots of a cluster, kept ${kept}, are all used again after the death of a worker`, async () => {
    const asked = Array.from({ length: 10 }, () => ask('several'))
    assert.deepEqual(new Set(await Promise.all(asked.map((each) => each.status))), new Set([200]))
    assert.equal(servers().several.counting.most, slotsCount)
  })

  // test/stores/redis/queue.test.ts covers routers with one Redis.
  if (kept === 'in Redis') return

  test('the slots of a cluster are assigned fairly across workers: many requests of a client delay a single one by one at most', async () => {
    const { counting: server, arrived } = servers().one
    const untilOneWaits = (count: number) => untilWaiting('one', () => count)
    const asked = Array.from({ length: 16 }, () => ask('one', 'flood'))
    await untilOneWaits(15)
    for (let index = 1; index <= 3; index++) {
      server.answerOne()
      await server.upstream.requestReceived(index)
    }
    asked.push(ask('one', 'single'))
    await untilOneWaits(13)
    for (let index = 4; index <= 5; index++) {
      server.answerOne()
      await server.upstream.requestReceived(index)
    }
    assert.ok(arrived.slice(4, 6).includes('single'), arrived.join(' '))
    server.open()
    assert.deepEqual(new Set(await Promise.all(asked.map((each) => each.status))), new Set([200]))
    assert.equal(server.most, 1)
  })
}

function inStatus({ models }: Status, model: Model): Status['models'][number] {
  return models.find(({ name }) => name === model) ?? assert.fail(`no model ${model}`)
}
