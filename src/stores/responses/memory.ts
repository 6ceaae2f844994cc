import { ownerOf, type ResponseStore } from './store.ts'

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

/** Responses of one owner. */
interface Share {
  /** Least recently used first. */
  readonly entries: Map<string, Entry>
  bytes: number
}

/** Responses as JSON in one process: the store of a single process, or the primary's store for its workers. */
export class ResponseTable {
  readonly #bounds: ResponseBounds
  readonly #now: () => number
  readonly #shares = new Map<string, Share>()
  #count = 0
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
    const owner = ownerOf(id)
    const share = this.#shares.get(owner)
    const entry = share?.entries.get(id)
    if (!share || !entry) return undefined
    share.entries.delete(id)
    share.bytes -= entry.json.length
    if (share.entries.size === 0) this.#shares.delete(owner)
    this.#count--
    this.#bytes -= entry.json.length
    return entry
  }

  #put(id: string, entry: Entry): void {
    const owner = ownerOf(id)
    const share = this.#shares.get(owner) ?? { entries: new Map(), bytes: 0 }
    this.#shares.set(owner, share)
    share.entries.set(id, entry)
    share.bytes += entry.json.length
    this.#count++
    this.#bytes += entry.json.length
  }

  #dropExpired(): void {
    const now = this.#now()
    for (const { entries } of this.#shares.values())
      for (const [id, { expiresAt }] of entries) if (expiresAt <= now) this.#take(id)
  }

  /** Evicts the least recently used responses of whoever has the most; a single one over the limit too. */
  #dropOverflow(): void {
    const { maxCount, maxBytes } = this.#bounds
    while (this.#count > maxCount) this.#dropFrom(({ entries }) => entries.size)
    while (this.#bytes > maxBytes) this.#dropFrom(({ bytes }) => bytes)
  }

  #dropFrom(sizeOf: (share: Share) => number): void {
    const [first, ...others] = this.#shares.values()
    if (!first) return
    const largest = others.reduce((most, share) => (sizeOf(share) > sizeOf(most) ? share : most), first)
    const [oldest] = largest.entries.keys()
    if (oldest !== undefined) this.#take(oldest)
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
      return json === undefined ? undefined : JSON.parse(json)
    },
    keep: async (id, stored) => table.keep(id, JSON.stringify(stored)),
    remove: async (id) => table.remove(id),
    close: async () => undefined,
  }
}
