import type { PrefixKey } from '../../sdk/strategy.ts'

interface Entry {
  /** Size for this key only, without the keys before it. */
  tokens: number
  /** Number of the request that used it last. */
  usedBy: number
}

export interface KnownPrefix {
  tokens: number
  /** Number of the request that used its end last; 0 if unknown. */
  usedBy: number
}

const nothing: KnownPrefix = { tokens: 0, usedBy: 0 }

/**
 * The probable content of one engine's prefix cache: the prefixes sent to it, the least recently used ones
 * forgotten as the engine does it, ends before beginnings.
 */
export class CachedPrefixes {
  /** In the order of use, the oldest first. */
  readonly #entries = new Map<number, Entry>()
  #tokens = 0
  #requests = 0

  /** The longest of these prefixes that is known. */
  longest(keys: readonly PrefixKey[]): KnownPrefix {
    // The beginning of a known prefix is known as well: it is never older than its end.
    let low = 0
    let high = keys.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#entries.has(keys[middle]?.key ?? 0)) low = middle + 1
      else high = middle
    }
    const key = keys[low - 1]
    const entry = key && this.#entries.get(key.key)
    return key && entry ? { tokens: key.tokens, usedBy: entry.usedBy } : nothing
  }

  /** Records a prompt with these prefixes and session. Returns the number of the request. */
  add(keys: readonly PrefixKey[], session?: number): number {
    this.#requests++
    if (session !== undefined) this.addSession(session)
    for (let index = keys.length - 1; index >= 0; index--) {
      const { key = 0, tokens = 0 } = keys[index] ?? {}
      this.#use(key, tokens - (keys[index - 1]?.tokens ?? 0))
    }
    return this.#requests
  }

  /** A session is remembered as long as its prefixes. */
  addSession(session: number): void {
    this.#use(session, 0)
  }

  hasSession(session: number): boolean {
    return this.#entries.has(session)
  }

  /** Keeps no more than the engine can. */
  limit(maxTokens: number, maxEntries: number): void {
    for (const [key, entry] of this.#entries) {
      if (this.#tokens <= maxTokens && this.#entries.size <= maxEntries) return
      this.#forget(key, entry)
    }
  }

  /** The engine has evicted the prefixes last used by the request with this number, and so all older ones. */
  forgetUpTo(request: number): void {
    for (const [key, entry] of this.#entries) {
      if (entry.usedBy > request) return
      this.#forget(key, entry)
    }
  }

  clear(): void {
    this.#entries.clear()
    this.#tokens = 0
  }

  #use(key: number, tokens: number): void {
    const entry = this.#entries.get(key)
    if (entry) {
      this.#entries.delete(key)
      entry.usedBy = this.#requests
      this.#entries.set(key, entry)
    } else {
      this.#entries.set(key, { tokens, usedBy: this.#requests })
      this.#tokens += tokens
    }
  }

  #forget(key: number, { tokens }: Entry): void {
    this.#entries.delete(key)
    this.#tokens -= tokens
  }
}
