import type { UsageRow } from '../database/tables.ts'

/** Usage: sums, and the last use of each key in milliseconds since 1970. Plain JSON. */
export interface UsagePart {
  rows: readonly UsageRow[]
  lastUsed: Readonly<Record<string, number>>
}

/** Length of the periods of usage, in milliseconds. The offsets of all current time zones are multiples of it. */
export const quarterMs = 900_000

export const usageCounts = [
  'requests',
  'errors',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'reasoning_tokens',
  'busy_ms',
  'cost',
] as const satisfies readonly (keyof UsageRow)[]

/** Further rows are summed per client as model and target `other`, to limit memory. */
const maxRows = 50_000
const other = 'other'

/** Sums usage by period, client, key, model and target. */
export class UsageSums {
  #rows = new Map<string, UsageRow>()
  #lastUsed: Record<string, number> = {}
  readonly #maxRows: number

  constructor(limit = maxRows) {
    this.#maxRows = limit
  }

  get isEmpty(): boolean {
    return this.#rows.size === 0 && Object.keys(this.#lastUsed).length === 0
  }

  get size(): number {
    return this.#rows.size
  }

  add(usage: UsageRow): void {
    const row = storable(usage)
    const existing = this.#rows.get(keyOf(row))
    if (!existing && this.#rows.size >= this.#maxRows && row.model !== other) {
      this.add({ ...row, client_key: '', model: other, target: other })
      return
    }
    if (!existing) this.#rows.set(keyOf(row), row)
    else for (const count of usageCounts) existing[count] += row[count]
  }

  /** `at`: milliseconds since 1970. */
  recordUse(key: string, at: number): void {
    this.#lastUsed[key] = Math.max(at, this.#lastUsed[key] ?? 0)
  }

  addAll({ rows, lastUsed }: UsagePart): void {
    for (const row of rows) this.add(row)
    for (const [key, at] of Object.entries(lastUsed)) this.recordUse(key, at)
  }

  part(): UsagePart {
    return { rows: [...this.#rows.values()], lastUsed: this.#lastUsed }
  }

  /** Returns the usage added since the last call. */
  take(): UsagePart {
    const part = this.part()
    this.#rows = new Map()
    this.#lastUsed = {}
    return part
  }
}

/** Models may have any name, but databases store no lone surrogates, and PostgreSQL stores no NUL. */
function storable(row: UsageRow): UsageRow {
  const { client, model, target } = row
  return { ...row, client: storableText(client), model: storableText(model), target: storableText(target) }
}

function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}

function keyOf({ period, client, client_key, model, target }: UsageRow): string {
  return JSON.stringify([period, client, client_key, model, target])
}
