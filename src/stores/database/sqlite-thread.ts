import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { SqliteReply, SqliteRequest } from './sqlite.ts'

/**
 * The thread that owns the SQLite database of a process, because calls of `node:sqlite` are synchronous and would block the
 * event loop.
 */

/** Maximum number of prepared statements; the router uses fewer. */
const maxStatements = 200

const database = new DatabaseSync(String(workerData))
// WAL: readers and the writer do not block each other, and committed data survives if the process is killed.
database.exec(
  'PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON',
)
const statements = new Map<string, StatementSync>()

parentPort?.on('message', (request: SqliteRequest | 'close') => {
  if (request === 'close') {
    database.close()
    parentPort?.close()
    return
  }
  parentPort?.postMessage(replyTo(request))
})

function replyTo({ id, sql, parameters }: SqliteRequest): SqliteReply {
  try {
    const statement = prepared(sql)
    const values = parameters as SQLInputValue[] // Kysely only passes values of the tables' types
    if (statement.columns().length > 0)
      return { id, rows: statement.all(...values).map((row) => ({ ...row })) }
    return { id, rows: [], changes: Number(statement.run(...values).changes) }
  } catch (error) {
    const { message, errcode } = Object(error)
    return {
      id,
      error: { message: String(message), code: typeof errcode === 'number' ? errcode : undefined },
    }
  }
}

function prepared(sql: string): StatementSync {
  const cached = statements.get(sql)
  if (cached) return cached
  const statement = database.prepare(sql)
  if (statements.size >= maxStatements) statements.clear()
  statements.set(sql, statement)
  return statement
}
