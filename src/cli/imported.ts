import type { BudgetRecord, ClientRecord, GroupRecord } from '../sdk/teams/directory.ts'

/** Imported files, converted to records of the database. */
export interface Imported {
  groups: { id: string; record: GroupRecord }[]
  clients: { id: string; record: ClientRecord; keys: ImportedKey[] }[]
  budgets: { id: string; record: BudgetRecord }[]
  /** Parts without an equivalent, as messages. */
  notes: string[]
}

interface ImportedKey {
  sha256: string
  description?: string | undefined
  /** Milliseconds since 1970. */
  endsAt?: number | undefined
}

/** Without the members that are undefined. */
export function present<Record extends object>(
  record: {
    [Key in keyof Record]?: Record[Key] | undefined
  },
): Record {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as Record // every member may be absent
}
