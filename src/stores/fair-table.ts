interface Share<Entry> {
  /** Least recently used first. */
  readonly entries: Map<string, Entry>
  bytes: number
}

/**
 * Entries of several owners, for bounded stores: whoever has the most loses its least recently used entry, so nobody can evict
 * the entries of an owner with less than an equal share.
 */
export class FairTable<Entry> {
  readonly #bytesOf: (entry: Entry) => number
  readonly #shares = new Map<string, Share<Entry>>()
  #count = 0
  #bytes = 0

  constructor(bytesOf: (entry: Entry) => number) {
    this.#bytesOf = bytesOf
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Removes an entry and returns it. */
  take(owner: string, id: string): Entry | undefined {
    const share = this.#shares.get(owner)
    const entry = share?.entries.get(id)
    if (!share || entry === undefined) return undefined
    const bytes = this.#bytesOf(entry)
    share.entries.delete(id)
    share.bytes -= bytes
    if (share.entries.size === 0) this.#shares.delete(owner)
    this.#count--
    this.#bytes -= bytes
    return entry
  }

  /** Adds an entry, which must not exist, as the most recently used one of its owner. */
  put(owner: string, id: string, entry: Entry): void {
    const share = this.#shares.get(owner) ?? { entries: new Map<string, Entry>(), bytes: 0 }
    const bytes = this.#bytesOf(entry)
    this.#shares.set(owner, share)
    share.entries.set(id, entry)
    share.bytes += bytes
    this.#count++
    this.#bytes += bytes
  }

  /** Removes the entries for which `isMeant` is true; returns their number. */
  removeAll(matches: (entry: Entry) => boolean): number {
    const before = this.#count
    for (const [owner, { entries }] of this.#shares)
      for (const [id, entry] of entries) if (matches(entry)) this.take(owner, id)
    return before - this.#count
  }

  /** Evicts one entry of the owner with the most entries, or bytes. */
  evict(measure: 'entries' | 'bytes'): void {
    const sizeOf = ({ entries, bytes }: Share<Entry>): number => (measure === 'bytes' ? bytes : entries.size)
    const [first, ...others] = this.#shares
    if (!first) return
    const [owner, share] = others.reduce(
      (top, share) => (sizeOf(share[1]) > sizeOf(top[1]) ? share : top),
      first,
    )
    const [oldest] = share.entries.keys()
    if (oldest !== undefined) this.take(owner, oldest)
  }
}
