import type { BudgetRecord, ClientRecord, GroupRecord } from '../sdk/teams/directory.ts'

/** Imported files, converted to records of the database. */
export interface Imported {
  groups: { id: string; record: GroupRecord }[]
  clients: { id: string; record: ClientRecord; keys: ImportedKey[] }[]
  budgets: { id: string; record: BudgetRecord }[]
  /** Messages about parts without an equivalent. */
  notes: string[]
}

interface ImportedKey {
  sha256: string
  description?: string | undefined
  /** Milliseconds since 1970. */
  endsAt?: number | undefined
}
