import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { endOf, everything, runningWorkers, type Topic } from './workers.ts'

/** A model server that records its health checks. */
interface ModelServer {
  upstream: ScriptedUpstream
  healthy: boolean
  /** The times of the checks, in monotonic milliseconds. */
  checks: number[]
}

async function startServer(): Promise<ModelServer> {
  const upstream = await startUpstream(({ url }) => {
    if (url === '/health') modelServer.checks.push(performance.now())
    const status = url === '/is_sleeping' ? 404 : modelServer.healthy ? 200 : 503
    return { kind: 'reply', status, body: '' }
  })
  const modelServer: ModelServer = { upstream, healthy: true, checks: [] }
  return modelServer
}

const intervalMs = 200
/** The shortest time between two checks of one server: the interval less a fifth. */
const shortestMs = intervalMs * 0.8

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
      const [one, two] = servers.map(({ upstream }) => ({ api_type: 'vllm', api_host: upstream.url }))
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
      for (const { upstream } of servers) await upstream.close()
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
    if (without !== undefined) await endOf(cluster.router, without)
    await runningWorkers(cluster.router)
    const last = new Map<number, Seen>()
    return await eventually(async () => {
      const seen = await ofAny()
      if (seen && seen.pid !== without) last.set(seen.pid, seen)
      const all = [...last.values()]
      return all.length === 2 && all.every(({ told }) => isSo(told)) && all
    })
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
      assert.ok((await meanPause(first, 12)) > shortestMs)
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
        assert.ok((await meanPause(second, 8)) > shortestMs)
        second.healthy = true
        for (const { told } of await bothWorkers(({ two }) => two?.at(-1) === 'up', pid))
          assert.deepEqual(told.two?.slice(-2), ['failing', 'up'])
      },
    )
  })
}

/** The mean time between the next checks of a server. A busy machine may delay the arrival of any single one. */
async function meanPause({ checks }: ModelServer, count: number): Promise<number> {
  const from = checks.length
  const times = await eventually(() => checks.length >= from + count && checks.slice(from, from + count))
  return (Number(times.at(-1)) - Number(times[0])) / (count - 1)
}
