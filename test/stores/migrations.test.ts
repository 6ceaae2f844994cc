import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { databaseAddress } from '../../src/lib/database-address.ts'
import { openDatabase } from '../../src/stores/database/open.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { type Cleanup, sqliteUrl } from '../teams/team-router.ts'

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
        ...{ id: 'one', at: 1, actor: '', source: 'cli', address: '', action: 'create' },
        ...{ entity: 'group', entity_id: 'team', before: '{}', after: '{}' },
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
  })
