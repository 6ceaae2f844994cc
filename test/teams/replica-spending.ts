import { once } from 'node:events'
import { eventually } from '../helpers/eventually.ts'
import { bearer } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import type { Postgres } from '../helpers/programs/postgres.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { openaiChunk, openaiDone, startUpstream } from '../helpers/scripted-upstream.ts'
import { requestsTo, teamEnv } from './team-router.ts'

export interface SpendingOptions {
  postgres: Postgres
  routers: number
  requests: number
  /** The budget, in requests. */
  limit: number
  /** Number of concurrent clients. */
  clients: number
  /** How many routers are killed while requests run; each is replaced. */
  kills: number
  outageMs: number
  whenDown: 'allow' | 'refuse'
}

export interface Spending {
  /** Requests that the upstream received. */
  counted: number
  /** Requests in the database. */
  recorded: number
  /** Requests that kill -9 may have lost: running ones, and those that ended in the last second. */
  mayBeLost: number
  refused: number
  /** Requests that were sent upstream while the database was unavailable. */
  whileAway: number
  cancelled: number
  /** Requests that reached a router that was being replaced. */
  unanswered: number
}

/** The maximum period of usage that a kill can lose, in milliseconds: docs/teams.md. */
const lostMs = 1_000

const disconnecting = 'leaves'
const disconnects = (body: unknown): boolean => Object(body).user === disconnecting

interface Replica {
  process: RouterProcess
  running: number
  ended: number[]
}

/**
 * Routers in separate processes spend one budget in PostgreSQL, with clients that disconnect, processes that are killed, a
 * database that is unavailable for a while, and an upstream that counts independently.
 */
export async function spend(options: SpendingOptions): Promise<Spending> {
  const { postgres, requests, clients } = options
  const upstream = await startUpstream(({ body }) => ({
    kind: 'stream',
    pieces: [
      openaiChunk({ content: 'Hi' }),
      ...(disconnects(body) ? [] : [openaiChunk({}, 'stop'), openaiDone]),
    ],
    ending: disconnects(body) ? 'hang' : 'end',
  }))
  const url = await postgres.url()
  const start = async (): Promise<Replica> => {
    const process = await startRouterProcess({
      env: { ...teamEnv(url), LLM_ROUTER_BUDGET_STORE_DOWN: options.whenDown },
      models: {
        active_models: { all: ['small'] },
        all: { small: { providers: [{ id: 'small', api_type: 'vllm', api_host: upstream.url }] } },
      },
    })
    return { process, running: 0, ended: [] }
  }
  const first = await start()
  const replicas = [first, ...(await inTurn(options.routers - 1, start))]
  const { admin, newKey } = requestsTo(first.process.url)
  const key = await newKey('alice')
  const budget = { id: 'all', client: 'alice', unit: 'requests', limit: options.limit, window: 'month' }
  await admin('POST', '/budgets', budget)
  for (const { process } of replicas)
    await eventually(async () => /"id":"all"/.test(await ownUsage(process.url, key)))
  const total = { mayBeLost: 0, refused: 0, whileAway: 0, cancelled: 0, unanswered: 0 }
  let [sent, isAway] = [0, false]

  const ask = async (replica: Replica, leavesEarly: boolean): Promise<void> => {
    replica.running++
    try {
      const leaving = new AbortController()
      const response = await fetch(`${replica.process.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { ...bearer(key), 'content-type': 'application/json' },
        signal: leaving.signal,
        body: JSON.stringify({
          model: 'small',
          messages,
          stream: true,
          ...(leavesEarly ? { user: disconnecting } : {}),
        }),
      })
      if (response.status === 429 || response.status === 503) total.refused++
      else if (isAway) total.whileAway++
      if (leavesEarly && response.status === 200) {
        await response.body?.getReader().read()
        total.cancelled++
        leaving.abort()
      } else await response.text()
    } catch {
      total.unanswered++
    } finally {
      replica.running--
      replica.ended.push(performance.now())
    }
  }

  const killOne = async (index: number): Promise<void> => {
    const dead = replicas[index]
    if (!dead) return
    const now = performance.now()
    total.mayBeLost += dead.running + dead.ended.filter((at) => at > now - lostMs).length
    dead.process.child.kill('SIGKILL')
    await dead.process.exit
    replicas[index] = await start()
    await dead.process.stop()
  }
  const outage = async (): Promise<void> => {
    await postgres.stop()
    isAway = true
    await new Promise((resolve) => setTimeout(resolve, options.outageMs))
    await postgres.start()
    isAway = false
  }

  // Each event happens after this many requests: the outage in the middle, kills before and after it.
  const events = [
    ...Array.from({ length: options.kills }, (_, index) => ({
      at: Math.floor((requests * (index + 1)) / (options.kills + 2)),
      run: () => killOne(index % replicas.length),
    })),
    { at: Math.floor(requests / 2), run: outage },
  ].toSorted((a, b) => a.at - b.at)
  let happening = Promise.resolve()
  let running = 0
  const client = async (): Promise<void> => {
    while (sent < requests || running > 0) {
      const number = sent++
      for (const event of events.splice(0, events.findLastIndex(({ at }) => at <= number) + 1)) {
        running++
        // One after the other: no router starts without its database.
        happening = happening.then(event.run).finally(() => running--)
      }
      const replica = replicas[number % replicas.length]
      if (replica) await ask(replica, number % 10 === 9)
      await new Promise((resolve) => setTimeout(resolve, running > 0 ? 200 : 0))
    }
  }
  try {
    await Promise.all(Array.from({ length: clients }, client))
    await happening
    const counted = upstream.requests.length
    const [one = first] = replicas
    const recorded = async (): Promise<number> => {
      const { body } = await requestsTo(one.process.url).admin('GET', '/usage?client=alice')
      return body.data?.[0]?.requests ?? 0
    }
    await eventually(async () => (await recorded()) >= counted - total.mayBeLost)
    // Usage still being written must not be missed.
    for (const { process } of replicas) {
      process.child.kill('SIGTERM')
      if (process.child.exitCode === null && process !== one.process) await once(process.child, 'exit')
    }
    return { ...total, counted, recorded: await lastRecorded(url) }
  } finally {
    for (const { process } of replicas) await process.stop()
    await upstream.close()
  }

  async function lastRecorded(address: string): Promise<number> {
    await replicas[0]?.process.exit
    const query = "select coalesce(sum(requests), 0) from usage_quarters where client = 'alice'"
    return Number(postgres.run('psql', ['-Atc', query, address]))
  }
}

async function ownUsage(url: string, key: string): Promise<string> {
  return (await fetch(`${url}/api/usage`, { headers: bearer(key) })).text()
}

/** One after the other: concurrent starts would delay each other. */
async function inTurn<Value>(count: number, make: () => Promise<Value>): Promise<Value[]> {
  const made: Value[] = []
  while (made.length < count) made.push(await make())
  return made
}
