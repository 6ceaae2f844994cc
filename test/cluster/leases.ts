import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { messages } from '../helpers/messages.ts'
import type { RedisServer } from '../helpers/programs/redis-server.ts'
import { startRouter } from '../helpers/router.ts'
import type { RouterProcess } from '../helpers/router-process.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { connectTo, type Send } from './conversation.ts'
import { connections, everything, runningWorkers, type Topic } from './workers.ts'

/** A model server that counts concurrent requests. */
interface ModelServer {
  upstream: ScriptedUpstream
  most: number
  total: number
  /** Requests get a response after a moment, or none while held. */
  held: boolean
}

async function startServer(): Promise<ModelServer> {
  const upstream = await startUpstream(async ({ method }) => {
    if (method !== 'POST') return { kind: 'reply', body: '' } // a health check
    server.total++
    server.most = Math.max(server.most, upstream.openRequests)
    if (server.held) return { kind: 'hang' }
    // The duration of a short response: long enough to reveal a second holder.
    await setTimeout(5)
    return openaiText('Hi')
  })
  const server: ModelServer = { upstream, most: 0, total: 0, held: false }
  return server
}

/** A target that is leased exclusively, between workers or between two hosts with one Redis. */
export function leases(withRedis?: () => { redis: RedisServer; env: Record<string, string> }): Topic {
  let server: ModelServer
  return {
    async models() {
      server = await startServer()
      const providers = [{ id: 'exclusive', api_type: 'vllm', api_host: server.upstream.url }]
      return { exclusive: { providers, strategy: 'first_available' } }
    },
    close: () => server.upstream.close(),
    tests: (cluster) =>
      withRedis ? redisTests(cluster, withRedis, () => server) : primaryTests(cluster, () => server),
  }
}

function primaryTests(cluster: Parameters<Topic['tests']>[0], server: () => ModelServer): void {
  test('targets are shared between workers through the primary, even when a worker is killed', async (t) => {
    const { router } = cluster
    await runningWorkers(router)
    await t.test('a target shared through the primary never has two requests at the same time', async () => {
      const clients = [...(await connections(router)).values(), ...more(router)]
      await assertExclusive(server(), clients, 12)
    })
    await t.test(
      'with the primary, the target of a killed worker is free long before its lease expires',
      () => assertFreedByDeath(router, server()),
    )
  })
}

/** These end the cluster. */
function redisTests(
  cluster: Parameters<Topic['tests']>[0],
  withRedis: () => { redis: RedisServer; env: Record<string, string> },
  server: () => ModelServer,
): void {
  test('targets are shared between two hosts through Redis, even when a worker is killed', async (t) => {
    const { router: first } = cluster
    const { redis, env } = withRedis()
    const second = await startRouter({ models: cluster.config(), env })
    t.after(() => second.close())
    await runningWorkers(first)
    await t.test('a target shared through Redis never has two requests at the same time', async () => {
      const clients = [...(await connections(first)).values(), ...more(first), ...more(second)]
      await assertExclusive(server(), [...clients, connectTo(second, everything)], 8)
    })
    await t.test('with Redis, the target of a killed worker is free long before its lease expires', () =>
      assertFreedByDeath(first, server()),
    )
    await t.test('a router that shuts down gracefully releases all leases', async () => {
      assert.equal(await chat(connectTo(second, everything)), 200)
      first.child.kill('SIGTERM')
      assert.equal(await first.exit, 0)
      await second.close()
      assert.deepEqual(await redis.redis.keys('*:lease:*'), [])
      assert.deepEqual(await redis.redis.hgetall('model:exclusive'), {})
    })
  })
}

/** Rejects when the connection breaks. */
async function chat(send: Send): Promise<number> {
  const question = { model: 'exclusive', messages }
  return (await send('POST', '/v1/chat/completions', question)).status
}

/** Connections to any workers. */
function more(router: { readonly url: string }): Send[] {
  return Array.from({ length: 6 }, () => connectTo(router, everything))
}

async function assertExclusive(server: ModelServer, clients: readonly Send[], rounds: number): Promise<void> {
  const statuses: number[] = []
  await Promise.all(
    clients.map(async (client) => {
      for (let round = 0; round < rounds; round++) statuses.push(await chat(client))
    }),
  )
  assert.deepEqual(new Set(statuses), new Set([200]))
  assert.deepEqual([server.total, server.most], [clients.length * rounds, 1])
}

/** Kills the worker that holds the only target; another worker must get the target long before the lease expires. */
async function assertFreedByDeath(router: RouterProcess, server: ModelServer): Promise<void> {
  const [[holderPid, holder], [, other]] = [...(await connections(router))] as [
    [number, Send],
    [number, Send], // as many as there are workers
  ]
  server.held = true
  const arrived = server.upstream.requestReceived(server.upstream.requests.length)
  const broken = assert.rejects(chat(holder))
  await arrived
  server.held = false
  const waiting = chat(other)
  const replaced = router.next(({ msg }) => msg === 'listening')
  process.kill(holderPid, 'SIGKILL')
  const killedAt = performance.now()
  assert.equal(await waiting, 200)
  // If the death went unnoticed, the target would be free when the lease expires, after 15 s.
  assert.ok(performance.now() - killedAt < 5_000)
  await broken
  // A new worker has replaced the dead one.
  await replaced
  assert.ok(!(await connections(router)).has(holderPid))
}
