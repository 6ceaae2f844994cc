import { hash, randomBytes } from 'node:crypto'

/** Distinct invalid keys allowed per client address: initial burst, then rate per minute. */
const burst = 10
const perMinute = 10
/** Maximum remembered addresses; the least recently used is evicted first. */
const maxRemembered = 10_000
/** Maximum remembered invalid keys, per address and in total. */
const maxKeysOfAddress = 1_000
const maxKeys = 100_000

/** Minimum length at which brute force cannot find a key: a valid key of this length was not guessed. */
const unguessableLength = 20

interface Bucket {
  /** Attempts left. */
  left: number
  at: number
  /** Digests of the invalid keys from this address, latest last. */
  wrong: Set<number>
}

/**
 * Limits how many different keys one client address can try. Repeating an invalid key reveals nothing new, so it counts
 * once: a program that keeps retrying with an outdated key does not lock out others behind the same address. An address
 * over the limit gets no answer about short keys, except for those of clients that have logged in from it before. Long
 * keys cannot be guessed, so a valid one always passes.
 */
export class FailedLogins {
  readonly #now: () => number
  readonly #secret = randomBytes(32).toString('hex')
  readonly #buckets = new Map<string, Bucket>()
  readonly #known = new Map<string, true>()
  #keys = 0

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Milliseconds until this address may try another key; 0 if it may try now. */
  waitMs(address: string): number {
    const bucket = this.#buckets.get(address)
    if (!bucket) return 0
    const left = this.#leftOf(bucket)
    return left >= 1 ? 0 : ((1 - left) * 60_000) / perMinute
  }

  /** Records an invalid key from this address. */
  failed(address: string, key: string): void {
    const digest = this.#digestOf(key)
    const bucket = this.#buckets.get(address) ?? { left: burst, at: this.#now(), wrong: new Set() }
    if (!this.#forgetKey(bucket, digest)) {
      bucket.left = Math.max(0, this.#leftOf(bucket) - 1)
      bucket.at = this.#now()
    }
    bucket.wrong.add(digest)
    this.#keys++
    const [oldest] = bucket.wrong
    if (bucket.wrong.size > maxKeysOfAddress && oldest !== undefined) this.#forgetKey(bucket, oldest)
    this.#keys -= remember(this.#buckets, address, bucket)?.wrong.size ?? 0
    if (this.#keys > maxKeys) this.#forgetOldest()
  }

  /** Whether this invalid key is remembered for this address. */
  hasFailed(address: string, key: string): boolean {
    return this.#buckets.get(address)?.wrong.has(this.#digestOf(key)) ?? false
  }

  succeeded(address: string, id: string): void {
    remember(this.#known, `${address} ${id}`, true)
  }

  /** Whether a valid key passes even while its address is over the limit. */
  alwaysPasses(address: string, key: string, id: string): boolean {
    return key.length >= unguessableLength || this.#known.has(`${address} ${id}`)
  }

  /** Number of remembered addresses and keys. */
  get size(): number {
    return this.#buckets.size + this.#known.size + this.#keys
  }

  #leftOf({ left, at }: Bucket): number {
    return Math.min(burst, left + ((this.#now() - at) * perMinute) / 60_000)
  }

  /** 48 bits: collisions among a thousand keys are negligible. */
  #digestOf(key: string): number {
    return hash('sha256', this.#secret + key, 'buffer').readUIntBE(0, 6)
  }

  #forgetKey(bucket: Bucket, digest: number): boolean {
    if (!bucket.wrong.delete(digest)) return false
    this.#keys--
    return true
  }

  /** Evicts the least recently used address. */
  #forgetOldest(): void {
    const [oldest] = this.#buckets
    if (!oldest) return
    this.#buckets.delete(oldest[0])
    this.#keys -= oldest[1].wrong.size
  }
}

/**
 * Inserts an entry and returns the evicted one. A Map iterates in insertion order, so its first entry is the oldest.
 */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): Value | undefined {
  map.delete(key)
  map.set(key, value)
  if (map.size <= maxRemembered) return undefined
  const [oldest] = map
  if (!oldest) return undefined
  map.delete(oldest[0])
  return oldest[1]
}
