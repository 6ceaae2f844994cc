import { FairTable } from '../fair-table.ts'
import type { AnswerCache, AnswerFilter, AnswerKey, AnswerSizes, PutOptions } from './store.ts'

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
  readonly #entries = new FairTable<Entry>(sizeOf)
  #evicted = 0
  #lastRemovalAt = Number.NEGATIVE_INFINITY

  /** `now`: `answerClock`, or that of a test. */
  constructor(maxBytes: number, now: () => number) {
    this.#maxBytes = maxBytes
    this.#now = now
  }

  get sizes(): AnswerSizes {
    return { answers: this.#entries.count, bytes: this.#entries.bytes, evicted: this.#evicted }
  }

  find({ client, digest }: AnswerKey): string | undefined {
    const entry = this.#entries.take(client, digest)
    if (!entry || entry.expiresAt <= this.#now()) return undefined
    this.#entries.put(client, digest, entry)
    return entry.answer.toString()
  }

  put({ model, client, digest }: AnswerKey, answer: string, { ttlMs, requestedAt }: PutOptions): void {
    if (requestedAt <= this.#lastRemovalAt) return
    this.#entries.take(client, digest)
    const entry = { model, client, answer: Buffer.from(answer), expiresAt: this.#now() + ttlMs }
    if (sizeOf(entry) > this.#maxBytes) return
    this.#entries.put(client, digest, entry)
    // Expired responses become the least recently used ones of their client in time.
    for (; this.#entries.bytes > this.#maxBytes; this.#evicted++) this.#entries.evict('bytes')
  }

  remove({ model, client }: AnswerFilter): number {
    this.#lastRemovalAt = this.#now()
    return this.#entries.removeAll(
      (entry) =>
        (model === undefined || entry.model === model) && (client === undefined || entry.client === client),
    )
  }
}

function sizeOf({ answer, model, client }: Entry): number {
  return answer.length + model.length + client.length + overheadBytes
}

/** `now`: `answerClock`, or that of a test. */
export function memoryAnswers(maxBytes: number, now: () => number): AnswerCache {
  const table = new AnswerTable(maxBytes, now)
  return {
    find: async (key) => table.find(key),
    // Synchronous, so that a repeated request finds the response as soon as it has been sent.
    put(key, answer, options) {
      table.put(key, answer, options)
      return Promise.resolve()
    },
    remove: async (filter) => table.remove(filter),
    sizes: () => table.sizes,
    close: async () => undefined,
  }
}
