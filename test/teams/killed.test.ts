import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../helpers/eventually.ts'
import { startRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'
import { type DatabaseKind, databases } from './databases.ts'
import { requestsTo, teamEnv } from './team-router.ts'

const kinds: [store: DatabaseKind, type: string][] = [
  ['SQLite', 'single'],
  ['PostgreSQL', 'cluster'],
]

/** The maximum period of usage that a kill can lose, in milliseconds: docs/teams.md. */
const lostMs = 1_000

for (const [store, type] of kinds)
  test(`kill -9 loses at most the usage of the last second, counted by the upstream: ${store}, ${type}`, async (t) => {
    const upstream = await startUpstream(openaiText('Hi'))
    t.after(() => upstream.close())
    /** When each request ended, on the test's clock. */
    const ended: number[] = []
    const url = await databases[store](t)
    const providers = [{ id: 'small', api_type: 'vllm', api_host: upstream.url }]
    const workers =
      type === 'cluster' ? { LLM_ROUTER_SERVER_TYPE: 'cluster', LLM_ROUTER_SERVER_WORKERS_COUNT: '2' } : {}
    const models = { active_models: { all: ['small'] }, all: { small: { providers } } }
    const first = await startRouterProcess({ env: { ...teamEnv(url), ...workers }, models })
    t.after(() => first.stop())
    const { newKey, chat } = requestsTo(first.url)
    const key = await newKey('alice')
    // A constant load: each client sends its next request soon after it has its response.
    let isOver = false
    const load = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const answer = await chat(key).catch(() => undefined)
        if (answer?.status === 200) ended.push(performance.now())
        await delay(60)
      }
    })
    await eventually(async () => ended.length >= 60 && performance.now() - Number(ended[0]) > 2_500)
    const killedAt = performance.now()
    first.child.kill('SIGKILL')
    isOver = true
    await first.exit
    await Promise.all(load)

    const second = await startRouter({ env: teamEnv(url), models })
    t.after(() => second.close())
    const { admin } = requestsTo(second.url)
    const recorded = async (): Promise<number> =>
      (await admin('GET', '/usage?client=alice')).body.data[0]?.requests ?? 0
    const safe = ended.filter((at) => at < killedAt - lostMs).length
    assert.ok(safe > 0 && safe < ended.length)
    await eventually(async () => (await recorded()) >= safe)
    // The upstream's count is the maximum.
    const counted = upstream.requests.length
    assert.ok((await recorded()) <= counted, `${await recorded()} of ${counted}`)
  })
