import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { runCli } from '../cli/run-cli.ts'
import { eventually } from '../helpers/eventually.ts'
import { bearer } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { startRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { databaseKinds, databases } from './databases.ts'
import {
  adminKey,
  models,
  openTeam,
  requestsTo,
  shareTeam,
  sqliteUrl,
  type TeamRouter,
  teamEnv,
} from './team-router.ts'

type Line = Record<string, number | string>

/** The lines of these clients, as soon as the database contains this many of their requests. */
async function usageOf(
  { admin }: Pick<TeamRouter, 'admin'>,
  clients: readonly string[],
  requests: number,
  query = 'by=client,model',
): Promise<Line[]> {
  let lines: Line[] = []
  await eventually(async () => {
    const { body, status } = await admin('GET', `/usage?${query}`)
    if (status !== 200) return false
    lines = body.data.filter(({ client }: Line) => clients.includes(String(client)))
    return sum(lines, 'requests') >= requests
  })
  assert.equal(sum(lines, 'requests'), requests)
  return lines
}

function sum(lines: readonly Line[], member: string): number {
  return lines.reduce((total, line) => total + Number(line[member]), 0)
}

for (const store of databaseKinds) {
  describe(`usage in ${store}`, () => {
    const team = shareTeam(databases[store], () => ({ LLM_ROUTER_TIME_ZONE: 'Asia/Kathmandu' }))

    test('requests, tokens, busy seconds and errors are reported by client, key, model and target', async () => {
      const [alice, bob] = [await team.newKey('alice'), await team.newKey('bob')]
      const answers = [
        await team.chat(alice),
        await team.chat(alice),
        await team.chat(alice, 'large'),
        await team.chat(bob),
      ]
      assert.equal((await team.chat(bob, 'broken')).status, 400)
      const lines = await usageOf(team, ['alice', 'bob'], 5, 'by=client,model,target,key')
      const keys = (await team.admin('GET', '/keys')).body.data
      const keyOf = (client: string) => keys.find((key: { client: string }) => key.client === client).id
      assert.deepEqual(
        lines.map(({ client, model, target, key, requests, errors }) => [
          client,
          model,
          target,
          key,
          requests,
          errors,
        ]),
        [
          ['alice', 'large', 'large', keyOf('alice'), 1, 0],
          ['alice', 'small', 'small', keyOf('alice'), 2, 0],
          ['bob', 'broken', 'broken', keyOf('bob'), 1, 1],
          ['bob', 'small', 'small', keyOf('bob'), 1, 0],
        ],
      )
      const counted = (member: string) =>
        answers.slice(0, 3).reduce((total, { body }) => total + body.usage[member], 0)
      const [own] = (await team.admin('GET', '/usage?client=alice')).body.data
      assert.equal(own.prompt_tokens, counted('prompt_tokens'))
      assert.equal(own.completion_tokens, counted('completion_tokens'))
      assert.ok(own.busy_seconds > 0)
      for (const { last_used_at: at } of keys) assert.ok(Date.now() - Date.parse(at) < 60_000)
    })

    test('a client sees only its own usage, with any of its keys', async () => {
      const [carol, dan] = [
        await team.newKey('carol', { surfaces: ['anthropic', 'openai'] }),
        await team.newKey('dan'),
      ]
      await team.chat(carol)
      await team.chat(dan)
      await usageOf(team, ['carol', 'dan'], 2)
      const own = async (key: string, query = '') => {
        const response = await fetch(`${team.router.url}/api/usage${query}`, { headers: bearer(key) })
        const body: { data: Line[] } = JSON.parse(await response.text())
        return { status: response.status, body }
      }
      const { status, body } = await own(carol)
      assert.equal(status, 200)
      assert.deepEqual(
        body.data.map(({ model, requests }) => [model, requests]),
        [['small', 1]],
      )
      assert.equal((await own(carol, '?by=target')).status, 400)
      assert.equal((await own(carol, '?by=client')).status, 400)
      assert.equal((await own('sk-nobody-0123456789')).status, 401)
      assert.equal((await team.admin('GET', '/usage', undefined, bearer(carol))).status, 403)
    })

    test('token counts that no server can mean hide neither the usage of others nor the history', async (t) => {
      const counts: unknown[] = [1e308, 1e308, 2 ** 60, 1.5, -3, '7', null, {}]
      const upstream = await startUpstream(({ body }) => {
        const [, index] = /^odd-(\d+)$/.exec(String(Object(body).messages[0].content)) ?? []
        const tokens = index === undefined ? 20 : counts[Number(index)]
        const usage = { prompt_tokens: tokens, completion_tokens: tokens, total_tokens: tokens }
        const choices = [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }]
        return {
          kind: 'reply',
          body: { id: 'c', object: 'chat.completion', created: 1, model: 'odd', choices, usage },
        }
      })
      t.after(() => upstream.close())
      const provider = { id: 'odd', api_type: 'vllm', api_host: upstream.url }
      const { router, admin, chat, newKey } = await openTeam(
        t,
        await databases[store](t),
        {},
        modelsConfig({ odd: [provider] }),
      )
      const [odd, other] = [await newKey('odd'), await newKey('other')]
      for (const index of counts.keys())
        assert.equal(
          (await chat(odd, 'odd', { messages: [{ role: 'user', content: `odd-${index}` }] })).status,
          200,
        )
      assert.equal((await chat(other, 'odd')).status, 200)
      const lines = await usageOf({ admin }, ['odd', 'other'], counts.length + 1, 'by=client')
      assert.deepEqual(
        lines.map(({ client, prompt_tokens, completion_tokens }) => [
          client,
          prompt_tokens,
          completion_tokens,
        ]),
        [
          ['odd', 2, 2],
          ['other', 20, 20],
        ],
      )
      assert.equal((await fetch(`${router.url}/api/history`, { headers: bearer(adminKey) })).status, 200)
    })

    test('periods start in LLM_ROUTER_TIME_ZONE, CSV is supported, and invalid queries are rejected', async () => {
      const key = await team.newKey('erin')
      await team.chat(key)
      await usageOf(team, ['erin'], 1)
      const [line] = (await team.admin('GET', '/usage?bucket=day&by=client&client=erin')).body.data
      assert.match(line.period, /T00:00:00\+05:45$/)
      const [hour] = (await team.admin('GET', '/usage?bucket=hour&client=erin')).body.data
      assert.match(hour.period, /:00:00\+05:45$/)
      const table = await team.admin('GET', '/usage?by=client,model&client=erin', undefined, {
        accept: 'text/csv',
      })
      assert.match(table.headers.get('content-type') ?? '', /^text\/csv/)
      assert.match(String(table.body), /^client,model,requests,errors,.*\r\nerin,small,1,0,/)
      for (const query of [
        'by=everything',
        'bucket=year',
        'from=yesterday',
        'from=2026-02-30',
        'format=xml',
        'from=2026-01-02&to=2026-01-01',
      ])
        assert.equal((await team.admin('GET', `/usage?${query}`)).status, 400, query)
    })
  })
}

test('a database outage loses no usage, is reported, and ends when the database is back', async (t) => {
  const postgres = await sharedPostgres()
  const team = await openTeam(t, await postgres.url(), { LLM_ROUTER_USE_PROMETHEUS: '1' })
  const key = await team.newKey('alice')
  await team.chat(key)
  const operator = async (path: string) =>
    (await fetch(team.router.url + path, { headers: bearer(adminKey) })).text()
  await postgres.stop()
  try {
    for (let count = 0; count < 20; count++) assert.equal((await team.chat(key)).status, 200)
    await eventually(async () => /usage is spooled to disk/.test(await operator('/healthz')))
    assert.match(await operator('/metrics'), /llm_router_usage_spool_bytes [1-9]/)
    for (let count = 0; count < 20; count++) assert.equal((await team.chat(key)).status, 200)
  } finally {
    await postgres.start()
  }
  const [line] = await usageOf(team, ['alice'], 41)
  assert.equal(line?.client, 'alice')
  await eventually(async () => !/usage waits/.test(await operator('/healthz')))
})

test('usage on disk survives kill -9 while the database is unavailable, and is written once', async (t) => {
  const postgres = await sharedPostgres()
  const database = await postgres.url()
  const folder = sqliteUrl(t).replace(/^sqlite:(.*)\/[^/]*$/, '$1')
  const env = { ...teamEnv(database), LLM_ROUTER_USAGE_SPOOL: folder }
  const first = await startRouterProcess({ models, env })
  t.after(() => first.stop())
  const team = requestsTo(first.url)
  const key = await team.newKey('alice')
  await postgres.stop()
  try {
    for (let count = 0; count < 10; count++) assert.equal((await team.chat(key)).status, 200)
    await eventually(async () => {
      const text = await (await fetch(`${first.url}/healthz`, { headers: bearer(adminKey) })).text()
      return /usage is spooled to disk/.test(text)
    })
    // All of it: what ended in the last half second may exist only in memory.
    const spooled = () =>
      readdirSync(folder)
        .flatMap((name) => [...readFileSync(`${folder}/${name}`, 'utf8').matchAll(/"requests":(\d+)/g)])
        .reduce((sum, [, requests]) => sum + Number(requests), 0)
    await eventually(async () => spooled() === 10)
    assert.equal(readdirSync(folder).length, 1)
    first.child.kill('SIGKILL')
    await first.exit
  } finally {
    await postgres.start()
  }
  const second = await startRouter({ models, env })
  t.after(() => second.close())
  await usageOf(requestsTo(second.url), ['alice'], 10)
  assert.deepEqual(readdirSync(folder), [])
})

// test/cluster/shared-state.test.ts covers two workers.
test('SIGTERM loses no usage, including that of running requests, with 1 worker(s)', async (t) => {
  const database = sqliteUrl(t)
  const router = await startRouterProcess({
    models: slowModels,
    env: teamEnv(database),
  })
  t.after(() => router.stop())
  const team = requestsTo(router.url)
  const key = await team.newKey('alice')
  const answers = await Promise.all(Array.from({ length: 10 }, () => team.chat(key)))
  assert.ok(answers.every(({ status }) => status === 200))
  const running = await Promise.all(
    Array.from({ length: 10 }, () =>
      fetch(`${router.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { ...bearer(key), 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'slow',
          stream: true,
          messages,
        }),
      }),
    ),
  )
  router.child.kill('SIGTERM')
  for (const answer of running) assert.match(await answer.text(), /\[DONE\]/)
  assert.equal(await router.exit, 0)
  const { stdout } = await runCli(['usage', 'by=client,model'], teamEnv(database))
  assert.deepEqual(
    JSON.parse(stdout).map(({ client, model, requests }: Line) => [client, model, requests]),
    [
      ['alice', 'slow', 10],
      ['alice', 'small', 10],
    ],
  )
})

test('requests do not wait for a database that another process has locked', async (t) => {
  const url = sqliteUrl(t)
  const team = await openTeam(t, url)
  const key = await team.newKey('alice')
  const other = new DatabaseSync(url.slice('sqlite:'.length))
  other.exec('BEGIN IMMEDIATE')
  const longest = { ms: 0 }
  try {
    const until = performance.now() + 1_500
    let last = performance.now()
    while (performance.now() < until) {
      await delay(50)
      await team.chat(key)
      longest.ms = Math.max(longest.ms, performance.now() - last)
      last = performance.now()
    }
  } finally {
    other.exec('ROLLBACK')
    other.close()
  }
  // A synchronous write would wait up to 5 s for the lock.
  assert.ok(longest.ms < 4_000, `${longest.ms} ms`)
})

const slowModels = {
  active_models: { all: ['small', 'slow'] },
  all: {
    small: { providers: [{ id: 'small', api_type: 'mock' }] },
    slow: {
      providers: [
        { id: 'slow', api_type: 'mock', mock: { tokens_per_second: 4, reply: 'one two three four' } },
      ],
    },
  },
}
