import type { ErrorKind } from '../../sdk/errors.ts'
import type { BudgetStanding } from '../../sdk/teams/budget-standing.ts'
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
  /** Where the next page begins; absent: this is the last one. */
  next_cursor?: string
}

/** A key of which only the SHA-256 is known. */
export interface ImportedKey {
  client: string
  sha256: string
  description?: string | undefined
  /** Milliseconds since 1970; absent: it does not end. */
  endsAt?: number | undefined
}

export interface ListInput {
  cursor?: string | undefined
  limit: number
}

/** Everything that is read or changed in the database by an operator, with what goes in and out. Plain JSON. */
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
  /** `changes`: members to set. `version`: what it must have; absent: any. */
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
  exists: { in: { entity: EntityName; id: string }; out: boolean }
  /** A key of which only the SHA-256 is known; one that is there already stays as it is. */
  importKey: { in: ImportedKey; out: { stored: StoredKey; isNew: boolean } }
  rotateKey: { in: { id: string; rotation: Rotation }; out: StoredKey }
  revokeKey: { in: { id: string }; out: StoredKey }
  /** A session of a browser, by its id; `endsAt`: when it would have ended, in milliseconds since 1970. */
  endSession: { in: { id: string; endsAt: number }; out: null }
  /** Files that have been taken, for the audit log. */
  recordReload: { in: { setting: string; before: object; after: object }; out: null }
  /** Where budgets stand, by their ids; `zone`: the time zone of windows. One that is gone meanwhile is left out. */
  standings: { in: { ids: readonly string[]; zone: string }; out: Record<string, BudgetStanding> }
  usage: { in: UsageQuestion; out: UsageLine[] }
  audit: { in: ListInput; out: Page<Omit<AuditRow, 'at'> & { at: string }> }
}

export type CommandName = keyof Commands

export interface Command<Name extends CommandName = CommandName> {
  name: Name
  input: Commands[Name]['in']
  actor: Actor
}

/** Plain JSON: an error goes from the primary to a worker like a result. */
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
