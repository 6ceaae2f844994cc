import type { Kysely } from 'kysely'

/**
 * The tables of the database, the same in SQLite and PostgreSQL: times in milliseconds since 1970, booleans as 1 or 0, objects
 * and lists as JSON.
 */
export interface Tables {
  meta: { key: string; value: string }
  client_groups: EntityRow & { parent: string | null }
  clients: EntityRow & { group_id: string | null }
  client_keys: KeyRow
  prices: EntityRow
  budgets: EntityRow
  usage_quarters: UsageRow
  usage_days: UsageRow
  /** Ids of written usage batches, so that none is written twice. */
  usage_batches: { id: string; at: number }
  /** Spending of a budget per quarter of an hour. */
  budget_spent: { budget: string; period: number; amount: number }
  /** What a router process may spend of a budget without a query. */
  budget_slices: { budget: string; holder: string; amount: number; ends_at: number }
  /** Reached thresholds with their webhook messages. `period`: start of the budget's window. */
  budget_notices: {
    budget: string
    period: number
    threshold: number
    at: number
    /** Body of the webhook message. */
    body: string
    /** Until then, the router that claimed it tries to send it. */
    claimed_until: number
    sent_at: number | null
  }
  audit: AuditRow
  created: { idempotency_key: string; entity: string; id: string; at: number }
}

export type Database = Kysely<Tables>

/** Common columns of clients, groups, prices and budgets. */
export interface EntityRow {
  id: string
  /** The record as JSON, see stores/directory/records.ts. */
  record: string
  /** Incremented by each change; the ETag. */
  version: number
  created_at: number
  updated_at: number
}

export interface KeyRow {
  id: string
  client_id: string
  /** SHA-256 of the whole key in hexadecimal. The key itself is not stored. */
  sha256: string
  /** The first characters of the key, by which people recognize it. */
  prefix: string
  description: string
  created_at: number
  expires_at: number | null
  revoked_at: number | null
  last_used_at: number | null
}

/** Usage of one client with one key, model and target in one period. */
export interface UsageRow {
  /** Start of the period. */
  period: number
  client: string
  client_key: string
  model: string
  target: string
  requests: number
  errors: number
  prompt_tokens: number
  cached_tokens: number
  completion_tokens: number
  reasoning_tokens: number
  busy_ms: number
  cost: number
}

export interface AuditRow {
  id: string
  at: number
  actor: string
  /** `api`, `cli`, `console` or `reload`. */
  source: string
  address: string
  action: string
  entity: string
  entity_id: string
  /** JSON without secrets; empty if there was no record. */
  before: string
  after: string
}
