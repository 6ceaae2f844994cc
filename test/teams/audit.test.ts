import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import pg from 'pg'
import { auditCommand, recordCommand } from '../../src/cli/directory.ts'
import type { Snapshot } from '../../src/sdk/teams/directory.ts'
import { openDatabase } from '../../src/stores/database/open.ts'
import { execute } from '../../src/stores/directory/execute.ts'
import { DirectoryHost } from '../../src/stores/directory/host.ts'
import { UsageSpool } from '../../src/stores/usage/spool.ts'
import { eventually } from '../helpers/eventually.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { databaseKinds, databases } from './databases.ts'
import { adminKey, openTeam, shareTeam, sqliteUrl, type TeamRouter } from './team-router.ts'

interface Entry {
  at: string
  actor: string
  source: string
  action: string
  entity: string
  entity_id: string
  before: string
  after: string
}

const entries = async ({ admin }: TeamRouter): Promise<Entry[]> => (await admin('GET', '/audit')).body.data

/** The first entry, existing or future, for which this is true. */
async function entry(team: TeamRouter, isWanted: (each: Entry) => boolean): Promise<Entry> {
  return await eventually(async () => (await entries(team)).find(isWanted))
}

for (const store of databaseKinds)
  describe(`the audit log in ${store}`, () => {
    const key = 'sk-of-the-file-one-0123456789'
    const file = keysFile([{ id: 'one', key }])
    after(() => file.remove())
    const team = shareTeam(databases[store], () => file.env)

    test('it records applied configuration files with their content before and after, without keys', async () => {
      file.write([
        { id: 'one', key, enabled: false },
        { id: 'two', key: `${key}-two`, role: 'viewer' },
      ])
      await team.router.app.reload.now()
      const {
        source,
        action,
        actor,
        before: former,
        after: later,
      } = await entry(team, ({ entity_id }) => entity_id === 'LLM_ROUTER_AUTH_MEMORY_SEED_FILE')
      assert.deepEqual([source, action, actor], ['reload', 'reload', ''])
      assert.deepEqual(
        [former, later].map((text) =>
          JSON.parse(text).clients.map(({ id, enabled, role }: Record<string, unknown>) => [
            id,
            enabled,
            role,
          ]),
        ),
        [
          [['one', true, undefined]],
          [
            ['one', false, undefined],
            ['two', true, 'viewer'],
          ],
        ],
      )
      const models = JSON.parse(readFileSync(team.router.file, 'utf8'))
      const served = models.active_models.all
      models.active_models.all = ['small']
      writeFileSync(team.router.file, JSON.stringify(models))
      await team.router.app.reload.now()
      const change = await entry(team, ({ entity_id }) => entity_id === 'LLM_ROUTER_MODELS_CONFIG')
      assert.deepEqual(
        [JSON.parse(change.before).models, JSON.parse(change.after).models],
        [served, ['small']],
      )
      writeFileSync(team.router.file, '{')
      await team.router.app.reload.now()
      const all = await entries(team)
      assert.equal(all.length, 2)
      assert.ok(!JSON.stringify(all).includes(key))
    })

    test('it records changes made on the command line', async () => {
      const printed: string[] = []
      const context = {
        program: 'llm-router',
        flags: { profiles: false, role: undefined, url: undefined, force: false },
        env: { LLM_ROUTER_DATABASE_URL: team.url },
        print: (text: string) => void printed.push(text),
        printError: (text: string) => void printed.push(text),
      }
      assert.equal(await recordCommand('groups')(['create', 'team'], context), 0)
      const made = await entry(team, ({ entity_id }) => entity_id === 'team')
      assert.deepEqual([made.source, made.action], ['cli', 'create'])
      assert.notEqual(made.actor, '')
      assert.equal(await auditCommand([], context), 0)
      assert.match(printed.at(-1) ?? '', /"source": "cli"/)
    })

    test('it is exported completely, one JSON object per line, newest first', async () => {
      for (const id of ['a', 'b', 'c']) await team.admin('POST', '/groups', { id })
      const response = await fetch(`${team.router.url}/api/admin/audit?limit=1`, {
        headers: { ...bearer(adminKey), accept: 'application/x-ndjson' },
      })
      assert.match(response.headers.get('content-type') ?? '', /^application\/x-ndjson/)
      const lines = (await response.text()).trimEnd().split('\n')
      const ids = lines.map((line) => JSON.parse(line).entity_id)
      assert.deepEqual(ids.slice(0, 3), ['c', 'b', 'a'])
      const { body } = await team.admin('GET', '/audit?limit=100')
      assert.deepEqual(
        ids,
        body.data.map(({ entity_id }: Entry) => entity_id),
      )
    })

    test('no entry can be changed or removed, not even in the database', async () => {
      await team.admin('POST', '/groups', { id: 'kept' })
      const former = await entries(team)
      for (const statement of ["update audit set actor = 'x'", 'delete from audit'])
        await assert.rejects(() => run(team.url, statement), /append-only/, statement)
      for (const method of ['DELETE', 'PATCH', 'PUT', 'POST'])
        assert.equal((await team.admin(method, '/audit', {})).status, 405, method)
      assert.deepEqual(await entries(team), former)
    })
  })

test('changes are announced over Redis', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const url = `redis://127.0.0.1:${redis.port}`
  const team = await openTeam(t, await (await sharedPostgres()).url(), { LLM_ROUTER_REDIS_URL: url })
  const listener = new Redis(url)
  t.after(() => listener.disconnect())
  await listener.subscribe('llm-router:directory')
  const notified = once(listener, 'message')
  // Until the router is connected, a change is noticed without Redis.
  let count = 0
  const timer = setInterval(() => void team.admin('POST', '/groups', { id: `g${count++}` }), 100)
  const [channel] = await notified.finally(() => clearInterval(timer))
  assert.equal(channel, 'llm-router:directory')
})

test('a host that receives the announcement reads the change immediately', async (t) => {
  // It never polls.
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const database = await openDatabase(
    { kind: 'sqlite', path: sqliteUrl(t).slice('sqlite:'.length) },
    assert.ifError,
  )
  let hint = (): void => undefined
  const hints = {
    announce: () => undefined,
    onHint: (listener: () => void) => {
      hint = listener
    },
    close: () => undefined,
  }
  const log = { info: () => undefined, warn: () => undefined }
  const spool = new UsageSpool(mkdtempSync(join(tmpdir(), 'llm-router-spool-')), '')
  const retention = { timeZone: 'UTC', quarterDays: 1, days: 1 }
  const host = await DirectoryHost.start(database, { log, hints, spool, retention })
  t.after(() => host.close())
  const changed = new Promise<Snapshot>((resolve) => host.onChange(resolve))
  const actor = { id: '', source: 'cli', address: '' } as const
  const input = { entity: 'groups', id: 'team', record: {} } as const
  await execute(database.db, { name: 'create', input, actor }, Date.now)
  hint()
  assert.deepEqual(
    (await changed).groups.map(({ id }) => id),
    ['team'],
  )
})

async function run(url: string, statement: string): Promise<void> {
  if (url.startsWith('sqlite:')) {
    const database = new DatabaseSync(url.slice('sqlite:'.length))
    try {
      database.exec(statement)
    } finally {
      database.close()
    }
    return
  }
  const client = new pg.Client(url)
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
