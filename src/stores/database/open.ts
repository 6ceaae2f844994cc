import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { Kysely, sql } from 'kysely'
import { tlsError } from '../../lib/connect-error.ts'
import type { DatabaseAddress } from '../../lib/database-address.ts'
import { ConfigError } from '../../sdk/errors.ts'
import { migrate, rejectNewer } from './migrations.ts'
import type { Database, Tables } from './tables.ts'

export interface OpenDatabase {
  readonly db: Database
  readonly kind: DatabaseAddress['kind']
  close(): Promise<void>
}

/** Time for which a SQLite file belongs to the host that registered in it, in milliseconds. */
const hostAgeMs = 60_000
const registerMs = 20_000

/**
 * Connects to the database and migrates it. Throws ConfigError if it cannot be reached, is newer than this
 * router, or is a SQLite file that another host uses.
 *
 * @param onError Called for connections that fail later.
 */
export async function openDatabase(
  address: DatabaseAddress,
  onError: (error: Error) => void,
): Promise<OpenDatabase> {
  const db = await connect(address, onError)
  try {
    await migrate(db)
    const release = address.kind === 'sqlite' ? await claimFile(db, onError) : undefined
    return {
      db,
      kind: address.kind,
      async close() {
        await release?.().catch(onError)
        await db.destroy()
      },
    }
  } catch (error) {
    await db.destroy().catch(() => undefined)
    throw openError(error)
  }
}

/**
 * Connects to the database without changing it. Throws ConfigError if it cannot be reached or is newer than this router. A SQLite
 * file that does not exist is not created.
 */
export async function checkDatabase(address: DatabaseAddress): Promise<void> {
  if (address.kind === 'sqlite' && !existsSync(address.path) && existsSync(dirname(address.path))) return
  const db = await connect(address, () => undefined)
  try {
    await sql`select 1`.execute(db)
    await rejectNewer(db)
  } catch (error) {
    throw openError(error)
  } finally {
    await db.destroy().catch(() => undefined)
  }
}

async function connect(address: DatabaseAddress, onError: (error: Error) => void): Promise<Database> {
  try {
    return new Kysely<Tables>({ dialect: await dialectOf(address, onError) })
  } catch (error) {
    throw openError(error)
  }
}

async function dialectOf(address: DatabaseAddress, onError: (error: Error) => void) {
  // Loaded on demand, because most routers use no database.
  if (address.kind === 'sqlite') return (await import('./sqlite.ts')).sqliteDialect(address.path)
  return (await import('./postgres.ts')).postgresDialect(address.url, onError)
}

/**
 * Registers this host in a SQLite file, and rejects a file that another host uses: SQLite's locks only work within one host, so
 * on a network file system a second host would corrupt the file.
 */
async function claimFile(db: Database, onError: (error: Error) => void): Promise<() => Promise<void>> {
  const host = hostname()
  const register = () => write(db, 'host', JSON.stringify({ host, at: Date.now() }))
  await db.transaction().execute(async (transaction) => {
    const row = await transaction
      .selectFrom('meta')
      .select('value')
      .where('key', '=', 'host')
      .executeTakeFirst()
    const { host: other, at }: { host?: string; at?: number } = row ? JSON.parse(row.value) : {}
    if (other !== undefined && other !== host && Date.now() - (at ?? 0) < hostAgeMs)
      throw new ConfigError([
        `LLM_ROUTER_DATABASE_URL: the host ${other} already uses this SQLite file, which only one host may use: use PostgreSQL for several hosts`,
      ])
    await write(transaction, 'host', JSON.stringify({ host, at: Date.now() }))
  })
  const timer = setInterval(() => void register().catch(onError), registerMs).unref()
  return async () => {
    clearInterval(timer)
    await write(db, 'host', JSON.stringify({ host, at: 0 }))
  }
}

async function write(db: Database, key: string, value: string): Promise<void> {
  await db
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute()
}

function openError(error: unknown): ConfigError {
  if (error instanceof ConfigError) return error
  return new ConfigError([`LLM_ROUTER_DATABASE_URL: the database cannot be opened: ${describe(error)}`])
}

/** Describes an error without the URL, which may contain a password. */
function describe(error: unknown): string {
  const untrusted = error instanceof Error ? tlsError(error) : undefined
  if (untrusted)
    return `${untrusted.message}${/CA|SELF/.test(untrusted.code) ? '; sslrootcert in the URL names the file of its CA' : ''}`
  const { code, message } = Object(error)
  const text = String(message ?? error)
  return typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text
}
