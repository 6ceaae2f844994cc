import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { databaseAddress } from '../../src/lib/database-address.ts'
import { openDatabase } from '../../src/stores/database/open.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'

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
