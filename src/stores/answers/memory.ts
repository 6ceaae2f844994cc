import type { AnswerFilter, AnswerKey, AnswerSizes, AnswerStore, KeepOptions } from './store.ts'

interface Entry {
  readonly model: string
  readonly client: string
  readonly answer: Buffer
  readonly expiresAt: number
}

/** Memory per response in addition to its strings: key and table entry. */
const overheadBytes = 300

/** Cached responses in one process: the store of a single process, or the primary's store for its workers. */
export class AnswerTable {
  readonly #maxBytes: number
  readonly #now: () => number
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>()
  readonly #sizes: AnswerSizes = { answers: 0, bytes: 0, evicted: 0 }
  #emptiedAt = Number.NEGATIVE_INFINITY

  /** `now`: milliseconds since 1970. */
  constructor(maxBytes: number, now: () => number) {
    this.#maxBytes = maxBytes
    this.#now = now
  }

  get sizes(): AnswerSizes {
    return { ...this.#sizes, answers: this.#entries.size }
  }

  find({ digest }: AnswerKey): string | undefined {
    const entry = this.#take(digest)
    if (!entry || entry.expiresAt <= this.#now()) return undefined
    this.#put(digest, entry)
    return entry.answer.toString()
  }

  keep({ model, client, digest }: AnswerKey, answer: string, { ttlMs, askedAt }: KeepOptions): void {
    if (askedAt <= this.#emptiedAt) return
    this.#take(digest)
    const entry = { model, client, answer: Buffer.from(answer), expiresAt: this.#now() + ttlMs }
    if (sizeOf(entry) > this.#maxBytes) return
    this.#put(digest, entry)
    this.#makeRoom()
  }

  remove({ model, client }: AnswerFilter): number {
    this.#emptiedAt = this.#now()
    let removed = 0
    for (const [digest, entry] of this.#entries) {
      if (model !== undefined && entry.model !== model) continue
      if (client !== undefined && entry.client !== client) continue
      this.#take(digest)
      removed++
    }
    return removed
  }

  #take(digest: string): Entry | undefined {
    const entry = this.#entries.get(digest)
    if (!entry) return undefined
    this.#entries.delete(digest)
    this.#sizes.bytes -= sizeOf(entry)
    return entry
  }

  #put(digest: string, entry: Entry): void {
    this.#entries.set(digest, entry)
    this.#sizes.bytes += sizeOf(entry)
  }

  /** Evicts the least recently used responses, which expired ones become in time. */
  #makeRoom(): void {
    for (const digest of this.#entries.keys()) {
      if (this.#sizes.bytes <= this.#maxBytes) return
      this.#take(digest)
      this.#sizes.evicted++
    }
  }
}

function sizeOf({ answer, model, client }: Entry): number {
  return answer.length + model.length + client.length + overheadBytes
}

/** `now`: milliseconds since 1970. */
export function memoryAnswers(maxBytes: number, now: () => number): AnswerStore {
  const table = new AnswerTable(maxBytes, now)
  return {
    find: async (key) => table.find(key),
    // Synchronous, so that a repeated request finds the response as soon as it has been sent.
    keep(key, answer, options) {
      table.keep(key, answer, options)
      return Promise.resolve()
    },
    remove: async (filter) => table.remove(filter),
    sizes: () => table.sizes,
    close: async () => undefined,
  }
}
