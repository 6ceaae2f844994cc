/** What a client says of the cache, in the words of RFC 9111, section 5.2.1. */
export interface CacheWish {
  /** Neither reads nor writes. */
  readonly noStore: boolean
  /** Writes only. */
  readonly noCache: boolean
  /** The oldest answer that will do, in milliseconds. */
  readonly maxAgeMs: number
}

const nothing: CacheWish = { noStore: false, noCache: false, maxAgeMs: Number.POSITIVE_INFINITY }

/** Reads `cache-control`. What is not known is left alone, as in any cache. */
export function cacheWish(header: string | undefined): CacheWish {
  if (header === undefined) return nothing
  const directives = header
    .toLowerCase()
    .split(',')
    .map((directive) => directive.trim())
  const age = directives.map((directive) => /^max-age\s*=\s*"?(\d+)"?$/.exec(directive)?.[1]).find(Boolean)
  return {
    noStore: directives.includes('no-store'),
    noCache: directives.includes('no-cache'),
    maxAgeMs: age === undefined ? Number.POSITIVE_INFINITY : Number(age) * 1000,
  }
}
