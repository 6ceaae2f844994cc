import type { BudgetRecord, ClientRecord, GroupRecord } from '../sdk/teams/directory.ts'

/** What files say, in the words of the database. */
export interface Imported {
  groups: { id: string; record: GroupRecord }[]
  clients: { id: string; record: ClientRecord; keys: ImportedKey[] }[]
  budgets: { id: string; record: BudgetRecord }[]
  /** What has no counterpart, for people. */
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
