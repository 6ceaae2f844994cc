import type { FastifyReply } from 'fastify'
import { closestName } from '../../lib/did-you-mean.ts'
import { RouterError } from '../../sdk/errors.ts'

/** Methods by route pattern. */
export type RouteMethods = Map<string, Set<string>>

/** The error for a path or a method without a route. Sets `Allow` if the path has other methods. */
export function noRoute(path: string, methods: RouteMethods, reply: FastifyReply): RouterError {
  const allowed = methodsOf(methods, path)
  if (allowed === undefined) {
    const fixed = [...methods.keys()].filter((url) => !/[:*]/.test(url))
    const near = nearPath(path, fixed)
    const hint = near === undefined ? '' : `; did you mean ${reply.server.config.basePath}${near}?`
    return new RouterError('not_found', `Unknown path${hint}`, { code: 'not_found' })
  }
  const list = [...allowed].join(', ')
  reply.header('allow', list)
  return new RouterError('method_not_allowed', `This path supports ${list}`, { code: 'method_not_allowed' })
}

function methodsOf(methods: RouteMethods, path: string): Set<string> | undefined {
  const trimmed = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  const exact = methods.get(trimmed)
  if (exact) return exact
  for (const [url, known] of methods) {
    if (url.endsWith('/*') && trimmed.startsWith(url.slice(0, -1))) return known
  }
  return undefined
}

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
