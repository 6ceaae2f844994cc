import { closestName } from '../../lib/did-you-mean.ts'

/** Longer paths are not compared, because comparing must be fast. */
const maxLength = 100

/**
 * Returns the known path that was most likely meant: one with something in front of it, as from a base URL with `/v1` twice or
 * in the wrong place, or one with a typing error. Undefined if there is none.
 */
export function nearPath(path: string, known: readonly string[]): string | undefined {
  if (path.length > maxLength) return undefined
  const ends = known.filter((one) => one.length > 1 && path.endsWith(one))
  if (ends.length > 0) return ends.reduce((best, one) => (one.length > best.length ? one : best))
  return closestName(path, known)
}
