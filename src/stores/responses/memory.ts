import { FairTable } from '../fair-table.ts'
import { ownerOf, type ResponseStore, storedResponse } from './store.ts'

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
  readonly #entries = new FairTable<Entry>(({ json }) => json.length)

  /** `now`: monotonic milliseconds. */
  constructor(bounds: ResponseBounds, now: () => number) {
    this.#bounds = bounds
    this.#now = now
  }

  find(id: string): string | undefined {
    const entry = this.#entries.take(ownerOf(id), id)
    if (!entry || entry.expiresAt <= this.#now()) return undefined
    this.#entries.put(ownerOf(id), id, entry)
    return entry.json.toString()
  }

  put(id: string, json: string): void {
    const { maxCount, maxBytes, ttlMs } = this.#bounds
    const now = this.#now()
    this.#entries.take(ownerOf(id), id)
    this.#entries.removeAll(({ expiresAt }) => expiresAt <= now)
    this.#entries.put(ownerOf(id), id, { json: Buffer.from(json), expiresAt: now + ttlMs })
    while (this.#entries.count > maxCount) this.#entries.evict('entries')
    // A single one over the limit is evicted too.
    while (this.#entries.bytes > maxBytes) this.#entries.evict('bytes')
  }

  remove(id: string): boolean {
    const entry = this.#entries.take(ownerOf(id), id)
    return entry !== undefined && entry.expiresAt > this.#now()
  }
}

/**
 * Stores responses in this process only. `now`: monotonic milliseconds.
 */
export function memoryResponses(bounds: ResponseBounds, now: () => number): ResponseStore {
  const table = new ResponseTable(bounds, now)
  return {
    async find(id) {
      const json = table.find(id)
      return json === undefined ? undefined : storedResponse(json)
    },
    put: async (id, stored) => table.put(id, JSON.stringify(stored)),
    remove: async (id) => table.remove(id),
    close: async () => undefined,
  }
}
