import type { ResponseStore } from './store.ts'

export interface ResponseBounds {
  /** Maximum number of responses. */
  maxCount: number
  /** Maximum total size of the JSON in UTF-8. */
  maxBytes: number
  ttlMs: number
}

interface Entry {
  json: Buffer
  expiresAt: number
}

/** Responses as JSON in one process: the store of a single process, or the primary's store for its workers. */
export class ResponseTable {
  readonly #bounds: ResponseBounds
  readonly #now: () => number
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  /** `now`: monotonic milliseconds. */
  constructor(bounds: ResponseBounds, now: () => number) {
    this.#bounds = bounds
    this.#now = now
  }

  find(id: string): string | undefined {
    const entry = this.#take(id)
    if (!entry || entry.expiresAt <= this.#now()) return undefined
    this.#put(id, entry)
    return entry.json.toString()
  }

  keep(id: string, json: string): void {
    this.#take(id)
    this.#dropExpired()
    this.#put(id, { json: Buffer.from(json), expiresAt: this.#now() + this.#bounds.ttlMs })
    this.#dropOverflow()
  }

  remove(id: string): boolean {
    const entry = this.#take(id)
    return entry !== undefined && entry.expiresAt > this.#now()
  }

  #take(id: string): Entry | undefined {
    const entry = this.#entries.get(id)
    if (!entry) return undefined
    this.#entries.delete(id)
    this.#bytes -= entry.json.length
    return entry
  }

  #put(id: string, entry: Entry): void {
    this.#entries.set(id, entry)
    this.#bytes += entry.json.length
  }

  #dropExpired(): void {
    const now = this.#now()
    for (const [id, { expiresAt }] of this.#entries) if (expiresAt <= now) this.#take(id)
  }

  /** Evicts the least recently used responses; a single one over the limit too. */
  #dropOverflow(): void {
    const { maxCount, maxBytes } = this.#bounds
    for (const id of this.#entries.keys()) {
      if (this.#entries.size <= maxCount && this.#bytes <= maxBytes) return
      this.#take(id)
    }
  }
}

/**
 * Stores responses in this process only. The least recently used response is
 * evicted first. `now`: monotonic milliseconds.
 */
export function memoryResponses(bounds: ResponseBounds, now: () => number): ResponseStore {
  const table = new ResponseTable(bounds, now)
  return {
    async find(id) {
      const json = table.find(id)
      return json === undefined ? undefined : JSON.parse(json)
    },
    keep: async (id, stored) => table.keep(id, JSON.stringify(stored)),
    remove: async (id) => table.remove(id),
    close: async () => undefined,
  }
}
