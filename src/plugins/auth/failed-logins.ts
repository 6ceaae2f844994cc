import { hash, randomBytes } from 'node:crypto'

/** Distinct wrong keys of one client address: so many at once, and so many a minute after that. */
const burst = 10
const perMinute = 10
/** The most addresses that are remembered; the one that was quiet for longest goes first. */
const maxRemembered = 10_000
/** The most wrong keys that are remembered of one address, and of all of them together. */
const maxKeysOfAddress = 1_000
const maxKeys = 100_000

/** No address can try enough keys of this length to find one, so that one which is valid was not guessed. */
const unguessableLength = 20

interface Bucket {
  /** Tries that are left. */
  left: number
  at: number
  /** Digests of the wrong keys that came from there, the latest last. */
  wrong: Set<number>
}

/**
 * Bounds how many different keys one client address can try. A wrong key that comes again tells its sender nothing new, so
 * it counts once: a program that keeps retrying with an old key takes no tries from its neighbours behind the same address.
 * Over the bound an address learns nothing of short keys, but for those that have come from there before; long keys cannot
 * be guessed, so a valid one always passes.
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

  /** Milliseconds until this address may try another key; 0: it may now. */
  waitMs(address: string): number {
    const bucket = this.#buckets.get(address)
    if (!bucket) return 0
    const left = this.#leftOf(bucket)
    return left >= 1 ? 0 : ((1 - left) * 60_000) / perMinute
  }

  /** A key from this address was wrong. */
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

  /** Whether this wrong key has come from this address before, as far as that is remembered. */
  hasFailed(address: string, key: string): boolean {
    return this.#buckets.get(address)?.wrong.has(this.#digestOf(key)) ?? false
  }

  succeeded(address: string, id: string): void {
    remember(this.#known, `${address} ${id}`, true)
  }

  /** Whether a valid key passes also while its address has to wait. */
  alwaysPasses(address: string, key: string, id: string): boolean {
    return key.length >= unguessableLength || this.#known.has(`${address} ${id}`)
  }

  /** How many addresses and keys are remembered. */
  get size(): number {
    return this.#buckets.size + this.#known.size + this.#keys
  }

  #leftOf({ left, at }: Bucket): number {
    return Math.min(burst, left + ((this.#now() - at) * perMinute) / 60_000)
  }

  /** 48 bits: two of a thousand keys are hardly ever the same. */
  #digestOf(key: string): number {
    return hash('sha256', this.#secret + key, 'buffer').readUIntBE(0, 6)
  }

  #forgetKey(bucket: Bucket, digest: number): boolean {
    if (!bucket.wrong.delete(digest)) return false
    this.#keys--
    return true
  }

  /** The address that was quiet for longest. */
  #forgetOldest(): void {
    const [oldest] = this.#buckets
    if (!oldest) return
    this.#buckets.delete(oldest[0])
    this.#keys -= oldest[1].wrong.size
  }
}

/** What had to go for it. The order of a Map is that of insertion, so the first one is the one that was set longest ago. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): Value | undefined {
  map.delete(key)
  map.set(key, value)
  if (map.size <= maxRemembered) return undefined
  const [oldest] = map
  if (!oldest) return undefined
  map.delete(oldest[0])
  return oldest[1]
}
