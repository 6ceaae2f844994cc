import fp from 'fastify-plugin'
import type { Target } from '../core/target.ts'
import type { Transport } from '../core/transport.ts'
import { createHttpTransport } from '../relay/http-transport.ts'

declare module 'fastify' {
  interface FastifyInstance {
    upstream: {
      /** The way to a target: pooled sockets, or what its provider type brings. */
      transportOf(target: Target): Transport
    }
  }
}

/** A host that does not accept within this is as good as down, however long its answers may take. */
const maxConnectMs = 10_000

export default fp(
  (app, _options, done) => {
    const http = createHttpTransport({
      connectTimeoutMs: Math.min(app.config.externalTimeoutMs, maxConnectMs),
    })
    const embedded = new Map<Target, Transport>()
    app.decorate('upstream', {
      transportOf(target) {
        if (!target.type.createTransport) return http
        let transport = embedded.get(target)
        if (!transport) {
          transport = target.type.createTransport(target)
          embedded.set(target, transport)
        }
        return transport
      },
    })
    app.addHook('onClose', () => http.close())
    done()
  },
  { name: 'upstream', dependencies: ['config'] },
)
