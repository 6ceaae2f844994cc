import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { childEnv, root } from './helpers/child-env.ts'
import { type RedisServer, startRedis } from './stores/redis-server.ts'

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

/** A model server that notes how many requests it has at once. */
interface Box {
  url: string
  most: number
  total: number
  /** Requests are answered after a moment, or, once held, never. */
  held: boolean
  server: Server
  /** Fulfilled when the next request has arrived. */
  next(): Promise<unknown>
}

async function startBox(t: TestContext): Promise<Box> {
  let running = 0
  const server = createServer((incoming, response) => {
    if (incoming.method !== 'POST') {
      response.end() // a health check
      return
    }
    box.total++
    box.most = Math.max(box.most, ++running)
    response.once('close', () => running--)
    incoming.resume()
    server.emit('arrived')
    if (box.held) return
    // The time of a short answer: long enough for a second holder to be seen.
    setTimeout(() => {
      const message = { role: 'assistant', content: 'Hi' }
      const choices = [{ index: 0, message, finish_reason: 'stop' }]
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ id: 'x', object: 'chat.completion', created: 1, model: 'm', choices }))
    }, 5)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  const url = `http://127.0.0.1:${port}`
  const box: Box = { url, most: 0, total: 0, held: false, server, next: () => once(server, 'arrived') }
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return box
}

interface RunningRouter {
  port: number
  child: ChildProcess
  exit: Promise<number | null>
  output(): string
}

async function startRouter(
  t: TestContext,
  boxes: readonly Box[],
  env: Record<string, string>,
): Promise<RunningRouter> {
  const providers = boxes.map(({ url }, index) => ({ id: `box${index}`, api_type: 'vllm', api_host: url }))
  const file = join(folder, `${t.name.replaceAll(/\W+/g, '-')}.json`)
  writeFileSync(file, JSON.stringify({ g: { m: { providers } }, active_models: { g: ['m'] } }))
  const router = spawnRouter({
    LLM_ROUTER_MODELS_CONFIG: file,
    LLM_ROUTER_BALANCE_STRATEGY: 'first_available',
    LLM_ROUTER_EXTENSIONS: join(folder, 'pid.ts'),
    ...env,
  })
  t.after(async () => {
    router.child.kill('SIGKILL')
    await router.exit
  })
  for (;;) {
    const match = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(router.output())
    if (match) return { ...router, port: Number(match[1]) }
    const { stdout, stderr } = router.child
    assert.ok(stdout && stderr)
    const code = await Promise.race([once(stderr, 'data'), once(stdout, 'data'), router.exit])
    assert.ok(Array.isArray(code), `ended: ${router.output()}`)
  }
}

function spawnRouter(env: Record<string, string>): Omit<RunningRouter, 'port'> {
  const child = spawn(process.execPath, ['src/server.ts'], {
    cwd: root,
    env: childEnv({ LLM_ROUTER_SERVER_PORT: '0', LLM_ROUTER_LOG_FILENAME: '', ...env }),
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk
    })
  }
  const exit = once(child, 'close').then(([code]) => code as number | null) // by the documentation of the event
  return { child, exit, output: () => text }
}

interface Client {
  get(path: string): Promise<string>
  /** The status of a chat request; rejects when the connection breaks. */
  chat(): Promise<number>
}

/** All requests of one client go over one connection, so to one worker. */
function connectTo({ port }: { port: number }): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const send = (method: string, path: string, body: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' }
      const sent = request({ host: '127.0.0.1', port, method, path, agent, headers }, async (response) => {
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
async function clientsOfWorkers(router: RunningRouter, count: number): Promise<Map<number, Client>> {
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
  boxes: readonly Box[],
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
    boxes.reduce((sum, { total }) => sum + total, 0),
    clients.length * rounds,
  )
  assert.deepEqual(
    boxes.map(({ most }) => most),
    boxes.map(() => 1),
  )
}

const cluster = { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' }
const withRedis = () => ({ LLM_ROUTER_REDIS_HOST: '127.0.0.1', LLM_ROUTER_REDIS_PORT: `${redis.port}` })

/** Kills the worker that has the only box, and asks another one, which must get the box within a second. */
async function assertFreedByDeath(router: RunningRouter, box: Box): Promise<void> {
  const [[holderPid, holder], [, other]] = [...(await clientsOfWorkers(router, 2))] as [
    [number, Client],
    [number, Client], // as many as were asked for
  ]
  box.held = true
  const arrived = box.next()
  const broken = assert.rejects(holder.chat())
  await arrived
  box.held = false
  const waiting = other.chat()
  process.kill(holderPid, 'SIGKILL')
  const killedAt = performance.now()
  assert.equal(await waiting, 200)
  assert.ok(performance.now() - killedAt < 1_000)
  await broken
  // A new worker has taken the place of the dead one.
  assert.ok(!(await clientsOfWorkers(router, 2)).has(holderPid))
}

async function manyClients(router: RunningRouter): Promise<Client[]> {
  const clients = [...(await clientsOfWorkers(router, 2)).values()]
  return [...clients, ...Array.from({ length: 6 }, () => connectTo(router))]
}

describe('a cluster', { concurrency: 2 }, () => {
  describe('with leases', { concurrency: 1 }, () => {
    test('over two hosts shares targets through Redis, also when a worker is killed', async (t) => {
      const box = await startBox(t)
      const hosts = await Promise.all([0, 1].map(() => startRouter(t, [box], { ...cluster, ...withRedis() })))
      const [first, second] = hosts
      assert.ok(first && second)
      await t.test('a target never has two requests at once', async () => {
        const clients = (await Promise.all(hosts.map(manyClients))).flat()
        await assertExclusive([box], clients, 8)
      })
      await t.test('the target of a killed worker is free within a second', () =>
        assertFreedByDeath(first, box),
      )
      await t.test('a router that stops in order gives everything back', async () => {
        assert.equal(await connectTo(second).chat(), 200)
        for (const { child, exit } of hosts) {
          child.kill('SIGTERM')
          assert.equal(await exit, 0)
        }
        assert.deepEqual(await redis.redis.keys('*:lease:*'), [])
        assert.deepEqual(await redis.redis.hgetall('model:m'), {})
      })
    })

    test('on one machine shares targets through its primary, also when a worker is killed', async (t) => {
      const box = await startBox(t)
      const router = await startRouter(t, [box], cluster)
      await t.test('a target never has two requests at once', async () => {
        await assertExclusive([box], await manyClients(router), 12)
      })
      await t.test('the target of a killed worker is free within a second', () =>
        assertFreedByDeath(router, box),
      )
    })
  })

  // These wait more than they work.
  describe('in trouble', { concurrency: 1 }, () => {
    test('without Redis at its address a router starts and serves, and says what is wrong', async (t) => {
      const box = await startBox(t)
      const router = await startRouter(t, [box], { LLM_ROUTER_REDIS_URL: 'redis://:hunter2@127.0.0.1:1/0' })
      assert.equal(await connectTo(router).chat(), 200)
      assert.match(router.output(), /Redis does not answer/)
      assert.doesNotMatch(router.output(), /hunter2/)
    })

    test('workers that crash again and again end the primary with exit code 1', async () => {
      const { exit, output } = spawnRouter({ ...cluster, LLM_ROUTER_EXTENSIONS: join(folder, 'crash.ts') })
      assert.equal(await exit, 1)
      assert.match(output(), /a worker ended \(exit code 7\)[\s\S]*giving up/)
    })
  })
})
