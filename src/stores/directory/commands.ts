import type { ErrorKind } from '../../sdk/errors.ts'
import type { BudgetStatus } from '../../sdk/teams/budget-status.ts'
import type {
  Actor,
  Entities,
  EntityName,
  NewKey,
  Rotation,
  Stored,
  StoredKey,
} from '../../sdk/teams/directory.ts'
import type { UsageLine, UsageQuestion } from '../../sdk/teams/usage.ts'
import type { AuditRow, KeyRow } from '../database/tables.ts'

export interface Page<Item> {
  data: Item[]
  /** Cursor of the next page; absent on the last page. */
  next_cursor?: string
}

/** A key of which only the SHA-256 is known. */
export interface ImportedKey {
  client: string
  sha256: string
  description?: string | undefined
  /** Milliseconds since 1970; absent: it does not expire. */
  endsAt?: number | undefined
}

export interface ListInput {
  cursor?: string | undefined
  limit: number
}

/** The commands by which operators read and change the database, with their inputs and outputs as plain JSON. */
export interface Commands {
  list: {
    in: ListInput & { entity: EntityName; of?: string | undefined }
    out: Page<Stored<Entities[EntityName]>>
  }
  get: { in: { entity: EntityName; id: string }; out: Stored<Entities[EntityName]> }
  create: {
    in: { entity: EntityName; id: string; record: Entities[EntityName]; idempotencyKey?: string | undefined }
    out: { stored: Stored<Entities[EntityName]>; isNew: boolean }
  }
  /** `changes`: members to set. `version`: the version that the record must have; absent: any. */
  change: {
    in: { entity: EntityName; id: string; changes: object; version?: number | undefined }
    out: Stored<Entities[EntityName]>
  }
  remove: { in: { entity: EntityName; id: string; version?: number | undefined }; out: null }
  keys: { in: ListInput & { client?: string | undefined }; out: Page<StoredKey> }
  createKey: {
    in: { client: string; key: NewKey; idempotencyKey?: string | undefined }
    out: { stored: StoredKey; isNew: boolean }
  }
  /** Creates a record; an existing one is not changed. Returns whether it is new. */
  createUnlessExists: { in: { entity: EntityName; id: string; record: Entities[EntityName] }; out: boolean }
  /** Imports a key by its SHA-256; an existing one is not changed. */
  importKey: { in: ImportedKey; out: { stored: StoredKey; isNew: boolean } }
  rotateKey: { in: { id: string; rotation: Rotation }; out: StoredKey }
  revokeKey: { in: { id: string }; out: StoredKey }
  /** Ends a browser session; `endsAt`: when it would have expired, in milliseconds since 1970. */
  endSession: { in: { id: string; endsAt: number }; out: null }
  /** Records a reload of files in the audit log. */
  recordReload: { in: { setting: string; before: object; after: object }; out: null }
  /** Returns the state of budgets by id; unknown ids are omitted. `zone`: time zone of the windows. */
  budgetStatuses: { in: { ids: readonly string[]; zone: string }; out: Record<string, BudgetStatus> }
  usage: { in: UsageQuestion; out: UsageLine[] }
  audit: { in: ListInput; out: Page<Omit<AuditRow, 'at'> & { at: string }> }
}

export type CommandName = keyof Commands

export interface Command<Name extends CommandName = CommandName> {
  name: Name
  input: Commands[Name]['in']
  actor: Actor
}

/** The output or error of a command, as plain JSON, because the primary sends it to workers. */
export type CommandResult<Name extends CommandName = CommandName> =
  | { ok: Commands[Name]['out']; error?: undefined }
  | {
      ok?: undefined
      error: { kind: ErrorKind; status?: number; message: string; code: string; param?: string }
    }

export function storedKey(row: KeyRow): StoredKey {
  const time = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString())
  return {
    id: row.id,
    client: row.client_id,
    prefix: row.prefix,
    description: row.description,
    created_at: new Date(row.created_at).toISOString(),
    expires_at: time(row.expires_at),
    revoked_at: time(row.revoked_at),
    last_used_at: time(row.last_used_at),
  }
}
