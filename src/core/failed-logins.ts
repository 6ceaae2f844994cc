/** Wrong keys of one client address: so many at once, and so many a minute after that. */
const burst = 10
const perMinute = 10
/** The most addresses that are remembered; the one that was quiet for longest goes first. */
const maxRemembered = 10_000

interface Bucket {
  /** Tries that are left. */
  left: number
  at: number
}

/**
 * Bounds how many keys one client address can try. Whoever is over the bound is told nothing of a key, but for those keys
 * that have come from there before: behind one address there may be a whole office.
 */
export class FailedLogins {
  readonly #now: () => number
  readonly #buckets = new Map<string, Bucket>()
  readonly #known = new Map<string, true>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Milliseconds until this address may try again; 0: it may now. */
  waitMs(address: string): number {
    const bucket = this.#buckets.get(address)
    if (!bucket) return 0
    const left = this.#leftOf(bucket)
    return left >= 1 ? 0 : ((1 - left) * 60_000) / perMinute
  }

  failed(address: string): void {
    const bucket = this.#buckets.get(address) ?? { left: burst, at: this.#now() }
    const left = Math.max(0, this.#leftOf(bucket) - 1)
    remember(this.#buckets, address, { left, at: this.#now() })
  }

  succeeded(address: string, id: string): void {
    remember(this.#known, `${address} ${id}`, true)
  }

  /** Whether this key has come from this address before, as far as that is remembered. */
  knows(address: string, id: string): boolean {
    return this.#known.has(`${address} ${id}`)
  }

  /** How many addresses and keys are remembered. */
  get size(): number {
    return this.#buckets.size + this.#known.size
  }

  #leftOf({ left, at }: Bucket): number {
    return Math.min(burst, left + ((this.#now() - at) * perMinute) / 60_000)
  }
}

/** The order of a Map is that of insertion, so the first one is the one that was set longest ago. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= maxRemembered) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
