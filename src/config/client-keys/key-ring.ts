import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ClientKey } from '../../sdk/client-key.ts'

export interface RingEntry {
  client: ClientKey
  /** SHA-256 of the whole key. */
  sha256: Buffer
}

export type KeyLookup =
  | { client: ClientKey; error: undefined }
  /** The client of a disabled or expired key, only for the log. */
  | { client: ClientKey | undefined; error: 'unknown' | 'disabled' | 'expired' }

/**
 * The keys of all clients, as HMACs with a secret of this process, so that neither a memory dump nor the duration of a lookup
 * reveals anything about a key.
 */
export class KeyRing {
  readonly #secret = randomBytes(32)
  readonly #entries = new Map<string, { digest: Buffer; client: ClientKey }>()
  /** Compared with unknown keys, so that they take as long as known ones. */
  readonly #dummy = randomBytes(32)

  constructor(entries: readonly RingEntry[]) {
    for (const { client, sha256 } of entries) {
      const digest = this.#digestOf(sha256)
      this.#entries.set(digest.toString('hex'), { digest, client })
    }
  }

  /** `at`: milliseconds since 1970. */
  find(key: string, at = Date.now()): KeyLookup {
    return this.findDigest(sha256Of(key), at)
  }

  /** Finds a key by its SHA-256. */
  findDigest(sha256: Buffer, at = Date.now()): KeyLookup {
    const digest = this.#digestOf(sha256)
    const entry = this.#entries.get(digest.toString('hex'))
    const isSame = timingSafeEqual(entry?.digest ?? this.#dummy, digest)
    if (!entry || !isSame) return { client: undefined, error: 'unknown' }
    const { client } = entry
    if (!client.enabled) return { client, error: 'disabled' }
    if (client.expiresAt !== undefined && client.expiresAt <= at) return { client, error: 'expired' }
    return { client, error: undefined }
  }

  #digestOf(sha256: Buffer): Buffer {
    return createHmac('sha256', this.#secret).update(sha256).digest()
  }
}

/** SHA-256 of a whole key. */
export function sha256Of(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** Headers whose value is a key: Anthropic's and Google's. */
const keyHeaders = ['x-api-key', 'x-goog-api-key']

/** Returns the key in a request's headers, from `Authorization: Bearer` (RFC 6750) or one of {@link keyHeaders}. */
export function presentedKey(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): string | undefined {
  const { authorization } = headers
  const bearer = typeof authorization === 'string' ? /^bearer +(.+)$/i.exec(authorization)?.[1] : undefined
  const sent = [bearer, ...keyHeaders.map((name) => headers[name])]
  const key = sent.find((each) => typeof each === 'string' && each.trim() !== '')
  return typeof key === 'string' ? key.trim() : undefined
}
