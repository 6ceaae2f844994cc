import { type ColumnDefinitionBuilder, type Kysely, SqliteAdapter, sql } from 'kysely'
import { DEFAULT_MIGRATION_TABLE, type Migration, Migrator } from 'kysely/migration'
import { ConfigError } from '../../sdk/errors.ts'
import type { Database } from './tables.ts'

/**
 * All migrations, in order. A released migration is never edited; add another one instead. There is no `down`: an older router
 * rejects a newer database, and a backup must be restored to go back.
 */
const migrations: Readonly<Record<string, Migration>> = {
  '0001-clients': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('meta')
        .addColumn('key', 'text', (column) => column.primaryKey())
        .addColumn('value', 'text', (column) => column.notNull())
        .execute()
      await sql`insert into meta (key, value) values ('revision', '1')`.execute(db)
      await entityTable(db, 'client_groups')
        .addColumn('parent', 'text', (column) => column.references('client_groups.id').onDelete('restrict'))
        .execute()
      await entityTable(db, 'clients')
        .addColumn('group_id', 'text', (column) => column.references('client_groups.id').onDelete('restrict'))
        .execute()
      await db.schema
        .createTable('client_keys')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('client_id', 'text', (column) =>
          column.notNull().references('clients.id').onDelete('cascade'),
        )
        .addColumn('sha256', 'text', (column) => column.notNull().unique())
        .addColumn('prefix', 'text', (column) => column.notNull())
        .addColumn('description', 'text', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('expires_at', 'bigint')
        .addColumn('revoked_at', 'bigint')
        .addColumn('last_used_at', 'bigint')
        .execute()
      await db.schema.createIndex('client_keys_client').on('client_keys').column('client_id').execute()
      await db.schema
        .createTable('audit')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('actor', 'text', (column) => column.notNull())
        .addColumn('source', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('action', 'text', (column) => column.notNull())
        .addColumn('entity', 'text', (column) => column.notNull())
        .addColumn('entity_id', 'text', (column) => column.notNull())
        .addColumn('before', 'text', (column) => column.notNull())
        .addColumn('after', 'text', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('created')
        .addColumn('idempotency_key', 'text', (column) => column.notNull())
        .addColumn('entity', 'text', (column) => column.notNull())
        .addColumn('id', 'text', (column) => column.notNull())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('created_key', ['idempotency_key', 'entity'])
        .execute()
    },
  },
  '0002-usage': {
    async up(db: Kysely<unknown>) {
      await entityTable(db, 'prices').execute()
      await entityTable(db, 'budgets').execute()
      await usageTable(db, 'usage_quarters')
      await usageTable(db, 'usage_days')
      await db.schema
        .createTable('usage_batches')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('budget_spent')
        .addColumn('budget', 'text', (column) => column.notNull())
        .addColumn('period', 'bigint', (column) => column.notNull())
        .addColumn('amount', 'double precision', (column) => column.notNull())
        .addPrimaryKeyConstraint('budget_spent_key', ['budget', 'period'])
        .execute()
      await db.schema
        .createTable('budget_slices')
        .addColumn('budget', 'text', (column) => column.notNull())
        .addColumn('holder', 'text', (column) => column.notNull())
        .addColumn('amount', 'double precision', (column) => column.notNull())
        .addColumn('ends_at', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('budget_slices_key', ['budget', 'holder'])
        .execute()
      await db.schema
        .createTable('budget_notices')
        .addColumn('budget', 'text', (column) => column.notNull())
        .addColumn('period', 'bigint', (column) => column.notNull())
        .addColumn('threshold', 'bigint', (column) => column.notNull())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('body', 'text', (column) => column.notNull())
        .addColumn('claimed_until', 'bigint', (column) => column.notNull())
        .addColumn('sent_at', 'bigint')
        .addPrimaryKeyConstraint('budget_notices_key', ['budget', 'period', 'threshold'])
        .execute()
    },
  },
  '0003-audit-append-only': {
    async up(db: Kysely<unknown>) {
      // Protects against mistakes and against users who can run statements. The owner of the database can drop the triggers.
      for (const statement of db.getExecutor().adapter instanceof SqliteAdapter
        ? sqliteAppendOnly
        : postgresAppendOnly)
        await sql.raw(statement).execute(db)
    },
  },
}

async function usageTable(db: Kysely<unknown>, name: string): Promise<void> {
  const notNull = (column: ColumnDefinitionBuilder) => column.notNull()
  await db.schema
    .createTable(name)
    .addColumn('period', 'bigint', notNull)
    .addColumn('client', 'text', notNull)
    .addColumn('client_key', 'text', notNull)
    .addColumn('model', 'text', notNull)
    .addColumn('target', 'text', notNull)
    .addColumn('requests', 'bigint', notNull)
    .addColumn('errors', 'bigint', notNull)
    .addColumn('prompt_tokens', 'bigint', notNull)
    .addColumn('cached_tokens', 'bigint', notNull)
    .addColumn('completion_tokens', 'bigint', notNull)
    .addColumn('reasoning_tokens', 'bigint', notNull)
    .addColumn('busy_ms', 'double precision', notNull)
    .addColumn('cost', 'double precision', notNull)
    .addPrimaryKeyConstraint(`${name}_key`, ['period', 'client', 'client_key', 'model', 'target'])
    .execute()
}

const sqliteAppendOnly = ['update', 'delete'].map(
  (change) =>
    `create trigger audit_no_${change} before ${change} on audit begin select raise(abort, 'the audit log is append-only'); end`,
)
const postgresAppendOnly = [
  `create function audit_append_only() returns trigger language plpgsql as $$
    begin raise exception 'the audit log is append-only'; end $$`,
  `create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function audit_append_only()`,
]

function entityTable(db: Kysely<unknown>, name: string) {
  return db.schema
    .createTable(name)
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('record', 'text', (column) => column.notNull())
    .addColumn('version', 'bigint', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('updated_at', 'bigint', (column) => column.notNull())
}

/**
 * Migrates the database. Routers that start concurrently wait for each other. Throws ConfigError if a newer router has migrated
 * the database.
 */
export async function migrate(db: Database): Promise<void> {
  if ((await applied(db)).join() === Object.keys(migrations).join()) return
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } })
  const { error } = await migrator.migrateToLatest()
  if (error === undefined) return
  await rejectNewer(db)
  throw error
}

/** Throws ConfigError if a newer router has migrated the database. */
export async function rejectNewer(db: Database): Promise<void> {
  const unknown = (await applied(db)).find((name) => !Object.hasOwn(migrations, name))
  if (unknown === undefined) return
  const newest = Object.keys(migrations).at(-1)
  throw new ConfigError([
    `LLM_ROUTER_DATABASE_URL: the database is newer than this router (it has ${unknown}, this router knows ${newest}): start the newer version, or restore a backup`,
  ])
}

/** Names of the migrations that the database has. The migrator looks at all tables of the database to find out. */
async function applied(db: Database): Promise<string[]> {
  const names = sql<{ name: string }>`select name from ${sql.table(DEFAULT_MIGRATION_TABLE)} order by name`
  try {
    return (await names.execute(db)).rows.map(({ name }) => name)
  } catch {
    // A new database has no such table; the migrator reports any other error.
    return []
  }
}
