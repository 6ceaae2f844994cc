import { RouterError } from '../../sdk/errors.ts'

/** The router's own entry in `Via` headers. Source: RFC 9110, section 7.6.3. */
const ownEntry = '1.1 llm-router'

/**
 * More than chains of routers need. Only a loop reaches it: a router whose server is, directly or through others, the router
 * itself would otherwise send a request around until no connection is left.
 */
const maxRouters = 5

/** The `Via` header for upstreams: one entry for each router passed, including this one. Other proxies are not named. */
export function viaUpstream(header: string | undefined): string {
  return `${ownEntry}, `.repeat(routersPassed(header)) + ownEntry
}

/** The error for a request that has passed too many routers. */
export function loopError(header: string | undefined): RouterError | null {
  if (routersPassed(header) < maxRouters) return null
  return new RouterError(
    'upstream_error',
    `The request has already passed through ${maxRouters} routers. A server of the model leads back to the router itself`,
    { status: 508, code: 'loop_detected' },
  )
}

function routersPassed(header: string | undefined): number {
  if (header === undefined) return 0
  return header.split(',').filter((entry) => entry.trim() === ownEntry).length
}
