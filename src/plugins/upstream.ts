import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { passedBytes } from '../core/passed-bytes.ts'
import type { Target } from '../core/target.ts'
import type { Transport } from '../core/transport.ts'
import { checkedLookup } from '../relay/checked-lookup.ts'
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
      onBytes: passedBytes(),
      ...(app.config.allowLinkLocal ? {} : { lookup: checkedLookup({ onRefused: tellOnce(app) }) }),
    })
    const embedded = new WeakMap<Target, Transport>()
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
  { name: 'upstream', dependencies: ['config', 'models'] },
)

/** Says once for each name which targets it cuts off: their addresses are not for the log. */
function tellOnce(app: FastifyInstance): (hostname: string) => void {
  const told = new Set<string>()
  return (hostname) => {
    if (told.has(hostname)) return
    told.add(hostname)
    const targets = app.models
      .all()
      .flatMap((model) => [...model.targets, ...model.sleeping])
      .filter(({ origin }) => URL.parse(origin)?.hostname === hostname)
    app.log.error(
      { targets: [...new Set(targets.map(({ id }) => id))] },
      'the name in api_host leads to a link-local or metadata address, so no connection is made; LLM_ROUTER_ALLOW_LINK_LOCAL=1 allows it',
    )
  }
}
