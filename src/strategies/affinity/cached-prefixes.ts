import type { PrefixKey } from '../../sdk/strategy.ts'

interface Entry {
  /** Tokens between the previous key of the prompt and this one. */
  tokens: number
  /** Number of the last request that used it. */
  usedBy: number
}

export interface KnownPrefix {
  tokens: number
  /** Number of the last request that used its end; 0 if unknown. */
  usedBy: number
}

const noPrefix: KnownPrefix = { tokens: 0, usedBy: 0 }

/**
 * Model of one engine's prefix cache: the prefixes sent to it, evicted as engines do it: least recently used first, ends before
 * beginnings.
 */
export class CachedPrefixes {
  /** In order of last use, oldest first. */
  readonly #entries = new Map<number, Entry>()
  #tokens = 0
  #requests = 0

  /** Returns the longest of these prefixes (shortest first) that is cached. */
  longest(keys: readonly PrefixKey[]): KnownPrefix {
    // Binary search: a beginning is never older than its end, so all beginnings of a cached prefix are cached too.
    let low = 0
    let high = keys.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#entries.has(keys[middle]?.key ?? 0)) low = middle + 1
      else high = middle
    }
    const key = keys[low - 1]
    const entry = key && this.#entries.get(key.key)
    return key && entry ? { tokens: key.tokens, usedBy: entry.usedBy } : noPrefix
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

  /** Adds a session, which is evicted together with its prefixes. */
  addSession(session: number): void {
    this.#use(session, 0)
  }

  hasSession(session: number): boolean {
    return this.#entries.has(session)
  }

  /** Evicts entries down to the capacity of the engine's cache. */
  limit(maxTokens: number, maxEntries: number): void {
    for (const [key, entry] of this.#entries) {
      if (this.#tokens <= maxTokens && this.#entries.size <= maxEntries) return
      this.#forget(key, entry)
    }
  }

  /** Evicts everything last used by this request or an earlier one. */
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
