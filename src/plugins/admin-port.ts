import { once } from 'node:events'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import type { FastifyServerOptions } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    adminPort: {
      /** Whether the request arrived on the admin port (metrics, probes and the status API). */
      isUsedBy(request: IncomingMessage): boolean
      /** For a route that exists on both ports: the values of `admin` with which to register it. */
      readonly both: readonly boolean[]
    }
  }
  interface FastifyContextConfig {
    /** Restricts the route to operators: where an admin port is configured, the route exists on that port only. */
    admin?: boolean
  }
}

/** Requests that arrived on the admin port. */
export type AdminRequests = WeakSet<IncomingMessage>

/**
 * Fastify route constraint that separates the two listeners: admin routes exist on the admin port only, all others on
 * the main port only. For `routerOptions.constraints`.
 */
export function adminConstraint(requests: AdminRequests): Constraint {
  return {
    name: 'listener',
    storage() {
      const routes = new Map<string, Route>()
      return {
        get: (name) => routes.get(name) ?? null,
        set: (name, route) => {
          routes.set(name, route)
        },
      }
    },
    deriveConstraint: (request) => (requests.has(request) ? 'admin' : 'main'),
  }
}

type RouterOptions = NonNullable<FastifyServerOptions['routerOptions']>
type Constraint = NonNullable<RouterOptions['constraints']>[string]
type Route = Parameters<ReturnType<Constraint['storage']>['set']>[1]

interface AdminPortOptions {
  requests: AdminRequests
  createServer(handler: RequestListener): Server
}

/**
 * Adds a second listener on LLM_ROUTER_ADMIN_PORT, so that clients cannot reach what only operators need. It opens
 * before the main listener and closes after all running responses have ended, so that a shutdown can be observed.
 */
export default fp(
  (app, { requests, createServer }: AdminPortOptions, done) => {
    const { adminPort: port, serverHost: host } = app.config
    app.decorate('adminPort', {
      isUsedBy: (request) => requests.has(request),
      both: port > 0 ? [true, false] : [false],
    })
    if (port === 0) return done()
    app.addHook('onRoute', (route) => {
      route.constraints = { ...route.constraints, listener: route.config?.admin ? 'admin' : 'main' }
    })
    const server = createServer((request, response) => {
      requests.add(request)
      app.routing(request, response)
    })
    app.addHook('onReady', async () => {
      server.listen(port, host)
      await once(server, 'listening')
      app.log.info({ host, port }, 'admin port listening')
    })
    app.addHook('onClose', async () => {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    })
    done()
  },
  { name: 'admin-port', dependencies: ['config'] },
)
