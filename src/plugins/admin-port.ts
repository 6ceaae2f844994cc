import { once } from 'node:events'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import type { FastifyServerOptions } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    adminPort: {
      /** Whether a request came in over the port for metrics, probes and the status API. */
      isUsedBy(request: IncomingMessage): boolean
    }
  }
  interface FastifyContextConfig {
    /** The route is for those who run the router: on the admin port only, where there is one. */
    admin?: boolean
  }
}

/** Requests that came in over the admin port. */
export type AdminRequests = WeakSet<IncomingMessage>

/**
 * Tells the router by which port a request came: a route for the admin port is not found on the other one, and the other
 * way round. For `routerOptions.constraints`.
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
 * A second listener, with LLM_ROUTER_ADMIN_PORT: what only operators need is then out of the clients' reach. It listens
 * before the other one does, and until all running answers have ended, so that the end of a process can be watched.
 */
export default fp(
  (app, { requests, createServer }: AdminPortOptions, done) => {
    app.decorate('adminPort', { isUsedBy: (request) => requests.has(request) })
    const { adminPort: port, serverHost: host } = app.config
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
      app.log.info({ host, port }, 'metrics, probes and status')
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
