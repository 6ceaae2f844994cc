import type { FastifyInstance } from 'fastify'

/** Probes have no key, and nothing to tell: without them a setting for other paths would end a pod. */
const alwaysPublic = ['/livez', '/readyz', '/ping']

/**
 * Says of a route whether it needs no key. A path of the list stands for itself, and for the same below the prefix, `/v1`
 * and `/api`; it is compared with the pattern of the route, which no way of writing a path can change.
 */
export function publicPaths(app: FastifyInstance): (route: string | undefined) => boolean {
  const { authPublicEndpoints: listed, endpointPrefix: prefix } = app.config
  const seen = new Set<string>()
  app.addHook('onRoute', ({ url }) => {
    seen.add(url)
  })
  const variants = (path: string): string[] => {
    const bare = path.length > 1 ? path.replace(/\/+$/, '') : path
    return ['', '/v1', '/api', prefix, `${prefix}/v1`].map((head) =>
      bare === '/' && head !== '' ? head : head + bare,
    )
  }
  app.addHook('onReady', async () => {
    for (const path of listed)
      if (!variants(path).some((variant) => seen.has(variant)))
        app.log.warn(`LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS: there is no ${path} here`)
  })
  const open = new Set([...alwaysPublic, ...listed].flatMap(variants))
  return (route) => route !== undefined && open.has(route)
}
