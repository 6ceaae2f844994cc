import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from 'kysely'

/** To the thread: a statement and its values. */
export interface SqliteRequest {
  id: number
  sql: string
  parameters: readonly unknown[]
}

/** From the thread: the rows or changes of a statement, or its error. `code`: SQLite's extended result code. */
export type SqliteReply =
  | { id: number; rows: object[]; changes?: number; error?: undefined }
  | { id: number; error: { message: string; code: number | undefined } }

/** Names of the primary result codes that are handled (https://sqlite.org/rescode.html). */
const codeNames = new Map([
  [5, 'SQLITE_BUSY'],
  [18, 'SQLITE_TOOBIG'],
  [19, 'SQLITE_CONSTRAINT'],
  [20, 'SQLITE_MISMATCH'],
])

/** Kysely over `node:sqlite` in a worker thread. */
export function sqliteDialect(path: string): Dialect {
  return {
    createAdapter: () => new TransactionalAdapter(),
    createDriver: () => new SqliteDriver(path),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

/** SQLite supports transactional DDL, so routers that start concurrently migrate one after the other. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

class SqliteDriver implements Driver {
  readonly #path: string
  #connection: SqliteConnection | undefined
  /** Resolves when the single connection is free; transactions on it are serialized. */
  #free: Promise<void> = Promise.resolve()
  #release: (() => void) | undefined

  constructor(path: string) {
    this.#path = path
  }

  async init(): Promise<void> {
    // In dist/, the file has the extension .js.
    const url = new URL(`./sqlite-thread${extname(import.meta.filename)}`, import.meta.url)
    const thread = new Worker(url, { workerData: this.#path })
    // Waits until the database is open; an error in opening it is thrown here.
    await once(thread, 'online')
    this.#connection = new SqliteConnection(thread)
    await this.#connection.executeQuery(CompiledQuery.raw('select 1'))
    thread.unref()
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const before = this.#free
    this.#free = promise
    await before
    this.#release = resolve
    if (this.#connection) return this.#connection
    resolve()
    throw new Error('the database is not open')
  }

  async beginTransaction(connection: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    // Takes the write lock immediately, so that read-then-write transactions of two processes are serialized.
    const begin = accessMode === 'read only' ? 'begin' : 'begin immediate'
    await connection.executeQuery(CompiledQuery.raw(begin))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('rollback'))
  }

  async releaseConnection(): Promise<void> {
    this.#release?.()
  }

  async destroy(): Promise<void> {
    await this.#connection?.close()
  }
}

interface PendingStatement {
  resolve(answer: Exclude<SqliteReply, { error: object }>): void
  reject(error: Error): void
}

class SqliteConnection implements DatabaseConnection {
  readonly #thread: Worker
  readonly #pending = new Map<number, PendingStatement>()
  #lastId = 0
  #ended: Error | undefined

  constructor(thread: Worker) {
    this.#thread = thread
    thread.on('message', (reply: SqliteReply) => this.#receive(reply))
    thread.on('error', (error) => this.#end(error))
    thread.on('exit', () => this.#end(new Error('the database is closed')))
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    if (this.#ended) throw this.#ended
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<Parameters<PendingStatement['resolve']>[0]>()
    this.#pending.set(id, { resolve, reject })
    this.#thread.postMessage({ id, sql, parameters } satisfies SqliteRequest)
    // Keeps the process alive while a statement runs.
    this.#thread.ref()
    const { rows, changes } = await promise
    return { rows: rows as Row[], ...(changes === undefined ? {} : { numAffectedRows: BigInt(changes) }) }
  }

  // biome-ignore lint/correctness/useYield: required by Kysely's interface; the router streams no rows.
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('rows are not streamed')
  }

  async close(): Promise<void> {
    if (this.#ended) return
    const exit = once(this.#thread, 'exit')
    this.#thread.ref()
    this.#thread.postMessage('close')
    await exit
  }

  #receive(answer: SqliteReply): void {
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    if (this.#pending.size === 0) this.#thread.unref()
    if (answer.error) pending?.reject(databaseError(answer.error))
    else pending?.resolve(answer)
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const { reject } of this.#pending.values()) reject(this.#ended)
    this.#pending.clear()
  }
}

function databaseError({ message, code }: { message: string; code: number | undefined }): Error {
  const name = code === undefined ? undefined : codeNames.get(code & 0xff)
  return Object.assign(new Error(message), { code: name ?? 'SQLITE_ERROR' })
}
