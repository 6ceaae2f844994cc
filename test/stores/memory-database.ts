import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { Kysely, SqliteDialect, type SqliteStatement } from 'kysely'
import { migrate } from '../../src/stores/database/migrations.ts'
import type { Database, Tables } from '../../src/stores/database/tables.ts'
import type { Cleanup } from '../teams/team-router.ts'

/**
 * The router's tables in memory and in this thread, for tests of what is done to rows: starting the thread of a
 * real database takes as long as a hundred transactions.
 */
export async function openMemoryDatabase(t: Cleanup): Promise<Database> {
  const rows = new DatabaseSync(':memory:')
  rows.exec('PRAGMA foreign_keys = ON')
  const prepared = new Map<string, SqliteStatement>()
  const prepare = (sql: string): SqliteStatement => {
    const statement = rows.prepare(sql)
    const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[] // Kysely passes what the tables' types allow
    return {
      reader: statement.columns().length > 0,
      all: (parameters) => statement.all(...values(parameters)).map((row) => ({ ...row })),
      run: (parameters) => statement.run(...values(parameters)),
      iterate: (parameters) => statement.iterate(...values(parameters)),
    }
  }
  const database = {
    close: () => rows.close(),
    prepare(sql: string) {
      const statement = prepared.get(sql) ?? prepare(sql)
      prepared.set(sql, statement)
      return statement
    },
  }
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) })
  t.after(() => db.destroy())
  await migrate(db)
  return db
}
