import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { startRouter } from '../helpers/router.ts'
import { usageRow } from '../stores/usage-row.ts'
import { databaseKinds, databases } from './databases.ts'
import { models, openTeam, requestsTo, sqliteUrl, type TeamRouter, teamEnv } from './team-router.ts'

/** PostgreSQL stores no NUL and no half of a surrogate pair, and SQLite none of the latter. */
const oddModels = ['nul\0', 'half\ud800', 'half\ud801']
/** Too long for PostgreSQL's index, even when it is compressed. */
const longModel = randomBytes(6_000).toString('hex')

const modelsNamed = (names: readonly string[]) => ({
  active_models: { all: names },
  all: Object.fromEntries(
    names.map((name, index) => [name, { providers: [{ id: `target-${index}`, api_type: 'mock' }] }]),
  ),
})

async function recorded({ admin }: Pick<TeamRouter, 'admin'>): Promise<Record<string, number>> {
  const { body } = await admin('GET', '/usage?by=model')
  return Object.fromEntries(
    body.data.map(({ model, requests }: { model: string; requests: number }) => [model, requests]),
  )
}

for (const kind of databaseKinds)
  suite(kind, () => {
    test('usage of models whose names the database cannot store is recorded', async (t) => {
      const team = await openTeam(t, await databases[kind](t), {}, modelsNamed(['small', ...oddModels]))
      const key = await team.newKey('alice')
      await Promise.all(
        [...oddModels, 'small'].map(async (model) => assert.equal((await team.chat(key, model)).status, 200)),
      )
      await eventually(async () => (await recorded(team)).small === 1)
      assert.deepEqual(await recorded(team), { small: 1, 'nul\ufffd': 1, 'half\ufffd': 2 })
    })

    test('usage on disk that the database rejects neither prevents a start nor blocks other usage', async (t) => {
      const url = await databases[kind](t)
      const period = Math.floor(Date.now() / 900_000) * 900_000
      const folder = spoolOf(t, url, [
        usageRow({ period, model: 'first' }),
        { ...usageRow({ period, model: 'rejected' }), cost: null },
        usageRow({ period, model: 'last' }),
      ])
      const env = { ...teamEnv(url), LLM_ROUTER_USAGE_SPOOL: folder }
      const router = await startRouter({ models, env })
      t.after(() => router.close())
      assert.deepEqual(await recorded(requestsTo(router.url)), { first: 1, last: 1 })
      assert.deepEqual(readdirSync(folder), [])
      const { model } = await router.logged(({ msg }) => /rejects/.test(String(msg)))
      assert.equal(model, 'rejected')
    })
  })

test('a request with a value that PostgreSQL cannot store is invalid, and the database is not unavailable', async (t) => {
  const { admin } = await openTeam(t, await databases.PostgreSQL(t))
  await admin('POST', '/clients', { id: 'alice' })
  for (const { status, body } of [
    await admin('POST', '/clients/alice/keys', { description: 'a\0b' }),
    await admin('GET', '/clients/a%00b'),
  ]) {
    assert.equal(status, 400, JSON.stringify(body))
    assert.equal(body.code, 'invalid_value')
  }
})

test('usage that PostgreSQL rejects does not block other usage', async (t) => {
  const team = await openTeam(t, await databases.PostgreSQL(t), {}, modelsNamed(['small', longModel]))
  const key = await team.newKey('alice')
  for (const model of [longModel, 'small']) assert.equal((await team.chat(key, model)).status, 200)
  await eventually(async () => (await recorded(team)).small === 1)
  assert.deepEqual(await recorded(team), { small: 1 })
})

/** A folder with the usage that a process of another host has left. */
function spoolOf(t: TestContext, databaseUrl: string, rows: readonly object[]): string {
  const folder = dirname(sqliteUrl(t).slice('sqlite:'.length))
  const digest = createHash('sha256').update(databaseUrl).digest('hex').slice(0, 12)
  const file = join(folder, `usage-${digest}-elsewhere-1-00000000.jsonl`)
  writeFileSync(file, `${JSON.stringify({ batch: 'left', part: { rows, lastUsed: {} } })}\n`)
  utimesSync(file, 0, 0)
  return folder
}
