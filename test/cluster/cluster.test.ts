import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RedisServer, startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter as startRouterHere, type TestRouter } from '../helpers/router.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'

let folder: string
let redis: RedisServer

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'llm-router-cluster-'))
  writeFileSync(
    join(folder, 'pid.ts'),
    `export default async (app) => { app.get('/pid', () => ({ pid: process.pid })) }\n`,
  )
  writeFileSync(join(folder, 'crash.ts'), 'process.exit(7)\n')
  redis = await startRedis()
})
after(async () => {
  await redis.stop()
  rmSync(folder, { recursive: true })
})

/** A model server that counts concurrent requests. */
interface ModelServer {
  url: string
  most: number
  total: number
  /** Requests get a response after a moment, or none while held. */
  held: boolean
  /** Fulfilled when the next request has arrived. */
  next(): Promise<unknown>
}

async function startServer(t: TestContext): Promise<ModelServer> {
  const upstream = await startUpstream(async ({ method }) => {
    if (method !== 'POST') return { kind: 'reply', body: '' } // a health check
    server.total++
    server.most = Math.max(server.most, upstream.openRequests)
    if (server.held) return { kind: 'hang' }
    // The duration of a short response: long enough to reveal a second holder.
    await setTimeout(5)
    return openaiText('Hi')
  })
  t.after(() => upstream.close())
  const next = () => upstream.requestReceived(upstream.requests.length)
  const server: ModelServer = { url: upstream.url, most: 0, total: 0, held: false, next }
  return server
}

/** The cluster under test. */
async function startCluster(
  t: TestContext,
  server: ModelServer,
  env: Record<string, string> = {},
): Promise<RouterProcess> {
  const router = await startRouterProcess({
    models: onlyModel(server),
    env: { ...exclusive(), ...cluster, ...env },
  })
  t.after(() => router.stop())
  await router.listening(2)
  return router
}

/** A router on another host, in this process. */
async function startOther(
  t: TestContext,
  server: ModelServer,
  env: Record<string, string>,
): Promise<TestRouter> {
  const router = await startRouterHere({ models: onlyModel(server), env: { ...exclusive(), ...env } })
  t.after(() => router.close())
  return router
}

function onlyModel({ url }: ModelServer): Record<string, unknown> {
  return modelsConfig({ m: [{ id: 'box', api_type: 'vllm', api_host: url }] })
}

function exclusive(): Record<string, string> {
  return {
    LLM_ROUTER_BALANCE_STRATEGY: 'first_available',
    LLM_ROUTER_EXTENSIONS: join(folder, 'pid.ts'),
  }
}

interface Client {
  get(path: string): Promise<string>
  /** The status of a chat request; rejects when the connection breaks. */
  chat(): Promise<number>
}

/** All requests of one client use one connection, so they reach one worker. */
function connectTo({ url }: { readonly url: string }): Client {
  const { hostname: host, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const send = (method: string, path: string, body: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      const sent = request({ host, port, method, path, agent, headers }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode ?? 0, text })
      })
      sent.once('error', reject)
      sent.end(body)
    })
  const question = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x' }] })
  return {
    get: async (path) => (await send('GET', path, '')).text,
    chat: async () => (await send('POST', '/v1/chat/completions', question)).status,
  }
}

async function pidOf(client: Client): Promise<number> {
  return JSON.parse(await client.get('/pid')).pid
}

/** Clients on different workers. */
async function clientsOfWorkers(
  router: { readonly url: string },
  count: number,
): Promise<Map<number, Client>> {
  const found = new Map<number, Client>()
  const signal = AbortSignal.timeout(60_000)
  while (found.size < count) {
    signal.throwIfAborted()
    const client = connectTo(router)
    const pid = await pidOf(client)
    if (!found.has(pid)) found.set(pid, client)
  }
  return found
}

async function assertExclusive(
  servers: readonly ModelServer[],
  clients: readonly Client[],
  rounds: number,
): Promise<void> {
  const statuses: number[] = []
  await Promise.all(
    clients.map(async (client) => {
      for (let round = 0; round < rounds; round++) statuses.push(await client.chat())
    }),
  )
  assert.deepEqual(new Set(statuses), new Set([200]))
  assert.equal(
    servers.reduce((sum, { total }) => sum + total, 0),
    clients.length * rounds,
  )
  assert.deepEqual(
    servers.map(({ most }) => most),
    servers.map(() => 1),
  )
}

const cluster = { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' }
const withRedis = () => ({ LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: `${redis.port}` })

/** Kills the worker that holds the only target; another worker must get the target long before the lease expires. */
async function assertFreedByDeath(router: RouterProcess, server: ModelServer): Promise<void> {
  const [[holderPid, holder], [, other]] = [...(await clientsOfWorkers(router, 2))] as [
    [number, Client],
    [number, Client], // as many as requested
  ]
  server.held = true
  const arrived = server.next()
  const broken = assert.rejects(holder.chat())
  await arrived
  server.held = false
  const waiting = other.chat()
  process.kill(holderPid, 'SIGKILL')
  const killedAt = performance.now()
  assert.equal(await waiting, 200)
  // If the death went unnoticed, the target would be free when the lease expires, after 15 s.
  assert.ok(performance.now() - killedAt < 5_000)
  await broken
  // A new worker has replaced the dead one.
  await router.listening(3)
  assert.ok(!(await clientsOfWorkers(router, 2)).has(holderPid))
}

async function manyClients(router: { readonly url: string }, workers: number): Promise<Client[]> {
  const clients = [...(await clientsOfWorkers(router, workers)).values()]
  return [...clients, ...Array.from({ length: 6 }, () => connectTo(router))]
}

describe('a cluster', { concurrency: 2 }, () => {
  describe('leases', { concurrency: 1 }, () => {
    test('targets are shared between two hosts through Redis, even when a worker is killed', async (t) => {
      const server = await startServer(t)
      const [first, second] = await Promise.all([
        startCluster(t, server, withRedis()),
        startOther(t, server, withRedis()),
      ])
      await t.test('a target shared through Redis never has two requests at the same time', async () => {
        const clients = [...(await manyClients(first, 2)), ...(await manyClients(second, 1))]
        await assertExclusive([server], clients, 8)
      })
      await t.test('with Redis, the target of a killed worker is free long before its lease expires', () =>
        assertFreedByDeath(first, server),
      )
      await t.test('a router that shuts down gracefully releases all leases', async () => {
        assert.equal(await connectTo(second).chat(), 200)
        first.child.kill('SIGTERM')
        assert.equal(await first.exit, 0)
        await second.close()
        assert.deepEqual(await redis.redis.keys('*:lease:*'), [])
        assert.deepEqual(await redis.redis.hgetall('model:m'), {})
      })
    })

    test('targets are shared between workers through the primary, even when a worker is killed', async (t) => {
      const server = await startServer(t)
      const router = await startCluster(t, server)
      await t.test(
        'a target shared through the primary never has two requests at the same time',
        async () => {
          await assertExclusive([server], await manyClients(router, 2), 12)
        },
      )
      await t.test(
        'with the primary, the target of a killed worker is free long before its lease expires',
        () => assertFreedByDeath(router, server),
      )
    })
  })

  // These tests mostly wait.
  describe('failures', { concurrency: 1 }, () => {
    test('a router with an unreachable Redis starts, serves and reports the error', async (t) => {
      const server = await startServer(t)
      const router = await startOther(t, server, { LLM_ROUTER_REDIS_URL: 'redis://:hunter2@127.0.0.1:1/0' })
      assert.equal(await connectTo(router).chat(), 200)
      const logged = JSON.stringify(router.logs)
      assert.match(logged, /Redis does not answer/)
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
})
