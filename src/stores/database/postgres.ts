import { type Dialect, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import pg from 'pg'

/** Timeouts of connections and statements, in milliseconds, after which the router continues without the database. */
const connectMs = 5_000
const statementMs = 10_000

/** Type ids of PostgreSQL (pg_type.dat). Values are converted to numbers, because counts and sums are far below 2^53. */
const int8 = 20
const numeric = 1700

/** Kysely over a small pool of connections. `onError` is called when a connection breaks; the pool opens another one. */
export function postgresDialect(url: string, onError: (error: Error) => void): Dialect {
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    application_name: 'llm-router',
    connectionTimeoutMillis: connectMs,
    query_timeout: statementMs,
    statement_timeout: statementMs,
    types: {
      getTypeParser: (id: number, format?: 'text' | 'binary') =>
        id === int8 || id === numeric ? Number : pg.types.getTypeParser(id, format as 'text'),
    },
  })
  // The pool only handles errors of idle connections: without this listener, one in a transaction would crash the process.
  pool.on('connect', (client) => client.on('error', onError))
  pool.on('error', () => undefined)
  return new PostgresDialect({ pool: withoutReadOnly(pool) })
}

/** PostgreSQL's read_only_sql_transaction. */
const readOnlyTransaction = '25006'

/**
 * Closes a connection on which a change was rejected as read-only, instead of using it again: after a failover, a connection may
 * lead to the former primary, or keep the settings that it was opened with.
 */
function withoutReadOnly(pool: pg.Pool): PostgresPool {
  return {
    options: pool.options,
    end: () => pool.end(),
    async connect() {
      const client = await pool.connect()
      let isReadOnly = false
      const query: unknown = async (statement: string, parameters: unknown[]) => {
        try {
          return await client.query(statement, parameters)
        } catch (error) {
          if (Object(error).code === readOnlyTransaction) isReadOnly = true
          throw error
        }
      }
      return {
        query: query as PostgresPoolClient['query'], // without cursors, which the router does not use
        release: (destroy) => client.release(destroy === true || isReadOnly),
      }
    },
  }
}
