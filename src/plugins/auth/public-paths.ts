import type { FastifyInstance } from 'fastify'
import { withoutTrailingSlashes } from '../../lib/endpoint-paths.ts'

/**
 * Probes send no key and reveal nothing. They stay public, so that a list of other paths cannot make Kubernetes kill
 * the pod.
 */
const alwaysPublic = ['/livez', '/readyz', '/ping']

/**
 * Returns a function that tells whether a route is public. A listed path also matches below the prefix, `/v1` and
 * `/api`. It is compared with the route's pattern, so that alternative spellings of a path cannot bypass it.
 */
export function publicPaths(app: FastifyInstance): (route: string | undefined) => boolean {
  const { authPublicEndpoints: listed, endpointPrefix: prefix } = app.config
  const seen = new Set<string>()
  app.addHook('onRoute', ({ url }) => {
    seen.add(url)
  })
  const variants = (path: string): string[] => {
    const bare = path.length > 1 ? withoutTrailingSlashes(path) : path
    return ['', '/v1', '/api', prefix, `${prefix}/v1`].map((head) =>
      bare === '/' && head !== '' ? head : head + bare,
    )
  }
  app.addHook('onReady', async () => {
    for (const path of listed)
      if (!variants(path).some((variant) => seen.has(variant)))
        app.log.warn(`LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS: no such path: ${path}`)
  })
  const open = new Set([...alwaysPublic, ...listed].flatMap(variants))
  return (route) => route !== undefined && open.has(route)
}
