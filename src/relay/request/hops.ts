import { version } from '../../lib/version.ts'
import { RouterError } from '../../sdk/errors.ts'

const product = `llm-router/${version}`

/**
 * More than chains of routers need. Only a loop reaches it: a router whose server is, directly or through others, the router
 * itself would otherwise send a request around until no connection is left.
 */
const maxHops = 5

/** The `User-Agent` for upstreams. If the client is a router itself, a comment counts the routers that the request has passed. */
export function userAgentAfter(clientUserAgent: string | undefined): string {
  const hops = hopsOf(clientUserAgent)
  return hops === 0 ? product : `${product} (hop ${hops + 1})`
}

/** The error for a request that has passed too many routers. */
export function loopError(clientUserAgent: string | undefined): RouterError | null {
  if (hopsOf(clientUserAgent) < maxHops) return null
  return new RouterError(
    'upstream_error',
    `The request has passed through ${maxHops} routers: the address of a server of this model leads back to the router itself`,
    { status: 508, code: 'loop_detected' },
  )
}

/** The number of routers that have passed the request on. */
function hopsOf(clientUserAgent = ''): number {
  const [, hops = '1'] = /^llm-router\/\S+(?: \(hop (\d{1,3})\))?$/.exec(clientUserAgent) ?? [undefined, '0']
  return Number(hops)
}
