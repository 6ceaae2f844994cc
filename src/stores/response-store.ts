import type { ResponseStore, StoredResponse } from '../core/response-store.ts'

export interface MemoryResponseStoreOptions {
  /** Most answers kept. */
  maxCount: number
  /** Most bytes kept, as JSON in UTF-8, over all answers. */
  maxBytes: number
  ttlMs: number
  /** Milliseconds from any fixed point; must never go back. */
  now: () => number
}

/** Keeps answers in this process: lost with it, and not seen by other workers. The least recently used goes first. */
export function createMemoryResponseStore(options: MemoryResponseStoreOptions): ResponseStore {
  return new MemoryResponseStore(options)
}

interface Entry {
  json: Buffer
  expiresAt: number
}

class MemoryResponseStore implements ResponseStore {
  readonly #options: MemoryResponseStoreOptions
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  constructor(options: MemoryResponseStoreOptions) {
    this.#options = options
  }

  async find(id: string): Promise<StoredResponse | undefined> {
    const entry = this.#take(id)
    if (!entry || entry.expiresAt <= this.#options.now()) return undefined
    this.#put(id, entry)
    return JSON.parse(entry.json.toString())
  }

  async keep(id: string, stored: StoredResponse): Promise<void> {
    const { now, ttlMs } = this.#options
    this.#take(id)
    this.#dropExpired()
    this.#put(id, { json: Buffer.from(JSON.stringify(stored)), expiresAt: now() + ttlMs })
    this.#dropOverflow()
  }

  async remove(id: string): Promise<boolean> {
    const entry = this.#take(id)
    return entry !== undefined && entry.expiresAt > this.#options.now()
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
    const now = this.#options.now()
    for (const [id, { expiresAt }] of this.#entries) if (expiresAt <= now) this.#take(id)
  }

  /** One answer that alone is too large goes too: the bound holds always. */
  #dropOverflow(): void {
    const { maxCount, maxBytes } = this.#options
    for (const id of this.#entries.keys()) {
      if (this.#entries.size <= maxCount && this.#bytes <= maxBytes) return
      this.#take(id)
    }
  }
}
