import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { TLSSocket } from 'node:tls'
import { sql } from 'kysely'
import pg from 'pg'
import { databaseAddress } from '../../src/lib/database-address.ts'
import { openDatabase } from '../../src/stores/database/open.ts'
import { runCli, runCliProcess } from '../cli/run-cli.ts'
import { serverPair } from '../helpers/certificates/test-ca.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { type Cleanup, sqliteUrl } from '../teams/team-router.ts'

const teamsEnv = {
  LLM_ROUTER_AUTH_ENABLED: '1',
  LLM_ROUTER_SESSION_SECRET: 'a-secret-of-more-than-32-characters',
}

const newDatabases = {
  SQLite: sqliteUrl,
  PostgreSQL: async () => (await sharedPostgres()).url('nothing'),
} as const

for (const [kind, urlOf] of Object.entries<(t: Cleanup) => string | Promise<string>>(newDatabases))
  describe(`the tables in ${kind}`, () => {
    /** Opens a new database on each call, as routers that start one after the other do. */
    const opener = async (t: TestContext) => {
      const address = databaseAddress(await urlOf(t)) ?? assert.fail()
      return async () => {
        const { db, close } = await openDatabase(address, assert.ifError)
        t.after(() => close())
        return db
      }
    }

    test('routers that start at the same time create the tables once', async (t) => {
      const open = await opener(t)
      const [one, ...others] = await Promise.all([open(), open(), open()])
      await one.insertInto('meta').values({ key: 'made', value: 'once' }).execute()
      for (const db of others) {
        const row = await db.selectFrom('meta').selectAll().where('key', '=', 'made').executeTakeFirst()
        assert.deepEqual(row, { key: 'made', value: 'once' })
      }
    })

    test('a database of an older router is migrated', async (t) => {
      const open = await opener(t)
      const db = await open()
      if (kind === 'SQLite')
        for (const change of ['update', 'delete'])
          await sql.raw(`drop trigger audit_no_${change}`).execute(db)
      else await sql`drop function audit_append_only cascade`.execute(db)
      await sql`delete from kysely_migration where name = '0003-audit-append-only'`.execute(db)
      const entry = {
        id: 'one',
        at: 1,
        actor: '',
        source: 'cli',
        address: '',
        action: 'create',
        entity: 'group',
        entity_id: 'team',
        before: '{}',
        after: '{}',
      }
      await db.insertInto('audit').values(entry).execute()
      const later = await open()
      await assert.rejects(later.deleteFrom('audit').execute(), /append-only/)
    })

    test('a database of a newer router is rejected with both schema versions', async (t) => {
      const open = await opener(t)
      const db = await open()
      await sql`insert into kysely_migration (name, timestamp) values ('9999-later', '2026-12-01')`.execute(
        db,
      )
      await assert.rejects(open(), {
        name: 'ConfigError',
        message: /newer than this router \(it has 9999-later, this router knows 0003-audit-append-only\)/,
      })
    })

    test('llm-router check connects to the database, and neither creates nor migrates it', async (t) => {
      const url = await urlOf(t)
      const check = () => runCli(['check'], { ...teamsEnv, LLM_ROUTER_DATABASE_URL: url })
      assert.equal((await check()).code, 0)
      const address = databaseAddress(url) ?? assert.fail()
      if (address.kind === 'sqlite') assert.ok(!existsSync(address.path))
      else assert.deepEqual(await tablesOf(address.url), [])
      const { db, close } = await openDatabase(address, assert.ifError)
      t.after(() => close())
      const latest = { name: '0003-audit-append-only' }
      await sql`delete from kysely_migration where name = ${latest.name}`.execute(db)
      assert.equal((await check()).code, 0)
      const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db)
      assert.deepEqual(rows.map(({ name }) => name).toSorted(), ['0001-clients', '0002-usage'])
      await sql`insert into kysely_migration (name, timestamp) values ('9999-later', '2026-12-01')`.execute(
        db,
      )
      const newer = await check()
      assert.match(newer.stdout, /error: LLM_ROUTER_DATABASE_URL: the database is newer than this router/)
      assert.equal(newer.code, 2)
    })
  })

test('the PostgreSQL user of the documentation is sufficient, and creates nothing outside its schema', async (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/teams.md'), 'utf8')
  const [, statements = assert.fail('docs/teams.md has the statements')] =
    /```sql\n(.*?)```/s.exec(page) ?? []
  const url = new URL(await (await sharedPostgres()).url('nothing'))
  await query(url.href, statements)
  const own = new URL(url)
  own.username = 'llm-router'
  const { close } = await openDatabase({ kind: 'postgres', url: own.href }, assert.ifError)
  t.after(() => close())
  assert.deepEqual(await tablesOf(url.href), [])
  assert.ok((await tablesOf(url.href, 'llm-router')).length > 0)
})

async function tablesOf(url: string, schema = 'public'): Promise<object[]> {
  return query(url, 'select * from pg_tables where schemaname = $1', [schema])
}

async function query(url: string, text: string, values?: string[]): Promise<object[]> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query(text, values)
  await client.end()
  return rows
}

test('a PostgreSQL with an untrusted certificate is reported with the parameter that trusts it', async (t) => {
  const server = createServer((socket) => {
    // The answer to SSLRequest (PostgreSQL, "Message Flow", 55.2.10) precedes the handshake.
    socket.once('data', () => {
      socket.write('S')
      new TLSSocket(socket, { isServer: true, ...serverPair }).on('error', () => socket.destroy())
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const url = `postgres://router@localhost:${port}/router?sslmode=require`
  const { stdout, stderr, code } = await runCliProcess(['check'], {
    ...teamsEnv,
    LLM_ROUTER_DATABASE_URL: url,
  })
  assert.match(stdout, /TLS certificate is signed by an unknown CA; sslrootcert in the URL names the file/)
  assert.doesNotMatch(stderr, /warning/i)
  assert.equal(code, 2)
})

test('a database URL that would disable the verification of certificates is rejected', async () => {
  const modes = [
    'sslmode=no-verify',
    'sslmode=prefer',
    'uselibpqcompat=true&sslmode=require',
    'ssl=no-verify',
  ]
  for (const parameters of modes) {
    const url = `postgres://router@db.example.com/router?${parameters}`
    for (const command of [['check'], ['groups', 'list']]) {
      const { stderr, code } = await runCli(command, { ...teamsEnv, LLM_ROUTER_DATABASE_URL: url })
      assert.match(
        stderr,
        /^LLM_ROUTER_DATABASE_URL: (?:sslmode is not one of|(?:ssl|uselibpqcompat) is not supported)/,
      )
      assert.equal(code, 2)
    }
  }
})
