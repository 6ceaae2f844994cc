import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import pg from 'pg'
import { databaseAddress } from '../../src/lib/database-address.ts'
import { openDatabase } from '../../src/stores/database/open.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { openTeam } from '../teams/team-router.ts'

test('a connection that breaks within a transaction fails only that transaction', async (t) => {
  const postgres = await sharedPostgres()
  const address = databaseAddress(await postgres.url())
  assert.ok(address)
  const reported = Promise.withResolvers<Error>()
  const { db, close } = await openDatabase(address, reported.resolve)
  t.after(() => close())
  // Between two statements nothing awaits a response of the connection: its error is an event, which must not
  // end the process.
  const broken = db.transaction().execute(async (rows) => {
    await sql`select 1`.execute(rows)
    await postgres.stop()
    await reported.promise
    await sql`select 2`.execute(rows)
  })
  await assert.rejects(broken)
  await postgres.start()
  assert.deepEqual((await sql`select 3 as three`.execute(db)).rows, [{ three: 3 }])
})

test('a router starts while its database is read-only, with the clients and keys there', async (t) => {
  const postgres = await sharedPostgres()
  const url = await postgres.url()
  const earlier = await openTeam(undefined, url)
  const key = await earlier.newKey('alice')
  await earlier.router.close()
  const database = new URL(url).pathname.slice(1)
  postgres.run('psql', ['-c', `alter database ${database} set default_transaction_read_only = on`, url])
  const { chat, admin } = await openTeam(t, url)
  assert.equal((await chat(key)).status, 200)
  assert.equal((await admin('POST', '/clients', { id: 'bob' })).status, 503)
})

test('a change succeeds as soon as the database accepts it, on connections that are still read-only', async (t) => {
  const postgres = await sharedPostgres()
  const url = await postgres.url()
  const database = new URL(url).pathname.slice(1)
  const elsewhere = new URL('/postgres', url).href
  const setting = (text: string) =>
    postgres.run('psql', ['-c', `alter database ${database} ${text}`, elsewhere])
  setting('set default_transaction_read_only = on')
  const { admin } = await openTeam(t, url)
  const create = (id: string) => admin('POST', '/clients', { id })
  const names = ['a', 'b', 'c', 'd']
  for (const { status } of await Promise.all(names.map(create))) assert.equal(status, 503)
  // Sessions keep the setting that was in force when they began.
  setting('reset default_transaction_read_only')
  for (const { status } of await Promise.all(names.map(create))) assert.equal(status, 201)
})

test('a router starts while another session has locked the usage', async (t) => {
  const postgres = await sharedPostgres()
  const url = await postgres.url()
  const earlier = await openTeam(undefined, url)
  const key = await earlier.newKey('alice')
  await earlier.router.close()
  const other = new pg.Client(url)
  await other.connect()
  t.after(() => other.end())
  await other.query('begin; lock table usage_quarters, usage_days, usage_batches in access exclusive mode')
  const { chat } = await openTeam(t, url)
  assert.equal((await chat(key)).status, 200)
  await other.query('rollback')
})
