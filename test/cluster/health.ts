import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { endOf, everything, runningWorkers, type Topic } from './workers.ts'

/** A model server that records its health checks. */
interface ModelServer {
  url: string
  server: Server
  healthy: boolean
  /** The times of the checks, in monotonic milliseconds. */
  checks: number[]
}

async function startServer(): Promise<ModelServer> {
  const server = createServer((request, response) => {
    if (request.url === '/health') {
      modelServer.checks.push(performance.now())
      server.emit('checked')
    }
    const asksSleep = request.url === '/is_sleeping'
    response.writeHead(asksSleep ? 404 : modelServer.healthy ? 200 : 503).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  const modelServer: ModelServer = { url: `http://127.0.0.1:${port}`, server, healthy: true, checks: [] }
  return modelServer
}

const intervalMs = 200
/** The shortest time between two checks of one server: the interval less a fifth. */
const shortestMs = intervalMs * 0.8 - 5

/** The extension that adds `GET /told`: the states that its process has been notified of. */
export const healthExtension = `export default async (app) => {
  const told = {}
  app.addHook('onReady', async () => {
    for (const { id } of app.models.all().flatMap(({ targets }) => targets)) told[id] = []
    app.health.onState(({ id }, state) => told[id]?.push(state))
  })
  app.get('/told', () => ({ pid: process.pid, told }))
}
`

export const healthEnv = { LLM_ROUTER_HEALTH_INTERVAL: `${intervalMs / 1000}` }

/** Health checks, and what each process is told of them. */
export function health(): Topic {
  let servers: ModelServer[] = []
  return {
    async models() {
      servers = [await startServer(), await startServer()]
      const [one, two] = servers.map(({ url }) => ({ api_type: 'vllm', api_host: url }))
      return {
        a: {
          providers: [
            { ...one, id: 'one' },
            { ...two, id: 'two' },
          ],
        },
        b: { providers: [{ ...one, id: 'one-too' }] },
      }
    },
    async close() {
      for (const { server } of servers) {
        server.closeAllConnections()
        server.close()
      }
    },
    tests: (cluster) => healthTests(cluster, () => servers),
  }
}

interface Seen {
  pid: number
  /** The states reported for each target. */
  told: Record<string, string[]>
}

function healthTests(cluster: Parameters<Topic['tests']>[0], servers: () => ModelServer[]): void {
  /** The two workers, once both satisfy the condition; `without`: one that has ended, and whose successor listens. */
  async function bothWorkers(isSo: (told: Seen['told']) => boolean, without?: number): Promise<Seen[]> {
    const signal = AbortSignal.timeout(20_000)
    if (without !== undefined) await endOf(cluster.router, without)
    await runningWorkers(cluster.router)
    const last = new Map<number, Seen>()
    for (;;) {
      signal.throwIfAborted()
      const seen = await ofAny()
      if (seen && seen.pid !== without) last.set(seen.pid, seen)
      const all = [...last.values()]
      if (all.length === 2 && all.every(({ told }) => isSo(told))) return all
      await pause(20)
    }
  }

  /** Over a new connection, so from any worker; undefined if it reached one that had just died. */
  async function ofAny(): Promise<Seen | undefined> {
    try {
      const init = { headers: { ...everything, connection: 'close' }, signal: AbortSignal.timeout(500) }
      const answer = await fetch(`${cluster.router.url}/told`, init)
      return JSON.parse(await answer.text())
    } catch {
      return undefined
    }
  }

  /** Fulfilled when a check has found the target in this state. */
  async function checked(target: string, state: string): Promise<unknown> {
    return await cluster.router.logged(
      (line) => line.msg === 'health check' && line.target === target && line.state === state,
    )
  }

  test('one process of a cluster checks the servers, and all processes get the results', async (t) => {
    const [first, second] = servers()
    assert.ok(first && second)
    await bothWorkers(() => true)

    await t.test('a server is checked once per interval, for two targets and two processes', async () => {
      assert.ok((await shortestPause(first, 12)) > shortestMs)
    })

    await t.test(
      'every process is notified once that a server is down, and once that it has recovered',
      async () => {
        first.healthy = false
        await checked('one', 'failing')
        await bothWorkers(({ one }) => one?.at(-1) === 'failing')
        first.healthy = true
        await checked('one', 'up')
        const all = ['degraded', 'failing', 'up']
        for (const { told } of await bothWorkers(({ one }) => one?.length === 3)) {
          const { one, two, 'one-too': oneToo } = told
          assert.deepEqual({ one, oneToo, two }, { one: all, oneToo: all, two: [] })
        }
      },
    )

    await t.test(
      'when the checking process is killed, another one takes over with the known states',
      async () => {
        second.healthy = false
        const { pid } = await cluster.router.logged(
          ({ msg, target }) => msg === 'health check' && target === 'two',
        )
        assert.ok(typeof pid === 'number')
        await bothWorkers(({ two }) => two?.at(-1) === 'failing')
        process.kill(pid, 'SIGKILL')
        // The replacing worker did not run yet when the server failed.
        await bothWorkers(({ two }) => two?.at(-1) === 'failing', pid)
        assert.ok((await shortestPause(second, 8)) > shortestMs)
        second.healthy = true
        for (const { told } of await bothWorkers(({ two }) => two?.at(-1) === 'up', pid))
          assert.deepEqual(told.two?.slice(-2), ['failing', 'up'])
      },
    )
  })
}

/** The shortest time between two of the next checks of a server. */
async function shortestPause({ server, checks }: ModelServer, count: number): Promise<number> {
  const from = checks.length
  while (checks.length < from + count) await once(server, 'checked')
  const times = checks.slice(from)
  return Math.min(...times.slice(1).map((at, index) => at - (times[index] ?? 0)))
}
