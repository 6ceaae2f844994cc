import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { type Cleanup, sqliteUrl } from './team-router.ts'

export type DatabaseKind = 'SQLite' | 'PostgreSQL'

/** The URL of a new database of each kind. */
export const databases: Readonly<Record<DatabaseKind, (t: Cleanup) => string | Promise<string>>> = {
  SQLite: sqliteUrl,
  PostgreSQL: async () => (await sharedPostgres()).url(),
}

export const databaseKinds = ['SQLite', 'PostgreSQL'] as const
