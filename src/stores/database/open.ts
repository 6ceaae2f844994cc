import { hostname } from 'node:os'
import { Kysely } from 'kysely'
import type { DatabaseAddress } from '../../lib/database-address.ts'
import { ConfigError } from '../../sdk/errors.ts'
import { migrate } from './migrations.ts'
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
  const db = new Kysely<Tables>({ dialect: await dialectOf(address, onError) })
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
    if (error instanceof ConfigError) throw error
    throw new ConfigError([`LLM_ROUTER_DATABASE_URL: the database cannot be opened: ${describe(error)}`])
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

/** Describes an error without the URL, which may contain a password. */
function describe(error: unknown): string {
  const { code, message } = Object(error)
  const text = String(message ?? error)
  return typeof code === 'string' && !text.includes(code) ? `${text} (${code})` : text
}
