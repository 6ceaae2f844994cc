import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { ConnectError } from '../lib/connect-error.ts'
import { checkedLookup } from '../relay/upstream/checked-lookup.ts'
import { createHttpTransport, type HttpTransport } from '../relay/upstream/http-transport.ts'
import { collectAfterBytes } from '../runtime/garbage-collector.ts'
import type { Target } from '../sdk/target.ts'
import type { Transport } from '../sdk/transport.ts'

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
/** Why a server cannot be reached is logged once in this time. */
const repeatAfterMs = 60_000

export default fp(
  (app, _options, done) => {
    const settings = {
      connectTimeoutMs: Math.min(app.config.externalTimeoutMs, maxConnectMs),
      onBytes: collectAfterBytes(),
      onConnectError: tellSeldom(app),
      ...(app.config.allowLinkLocal ? {} : { lookup: checkedLookup({ onRefused: tellOnce(app) }) }),
    }
    const direct = createHttpTransport(settings)
    /** By how the server is reached: sockets are never shared between different credentials. */
    const special = new Map<string, HttpTransport>()
    const known = new WeakMap<Target, Transport>()
    const specialFor = (target: Target): HttpTransport => {
      const key = JSON.stringify(target.connection)
      const transport =
        special.get(key) ?? createHttpTransport({ ...settings, connection: target.connection })
      special.set(key, transport)
      return transport
    }
    app.decorate('upstream', {
      transportOf(target) {
        const { createTransport } = target.type
        if (!createTransport && target.connection === undefined) return direct
        let transport = known.get(target)
        if (!transport) {
          transport = createTransport?.(target) ?? specialFor(target)
          known.set(target, transport)
        }
        return transport
      },
    })
    app.models.onChange(() => {
      const inUse = new Set(
        app.models
          .all()
          .flatMap(({ targets, sleeping }) => [...targets, ...sleeping])
          .map(({ connection }) => JSON.stringify(connection)),
      )
      // What runs on the others runs on; their idle sockets close by themselves.
      for (const key of special.keys()) if (!inUse.has(key)) special.delete(key)
    })
    app.addHook('onClose', async () => {
      await Promise.all([direct, ...special.values()].map((transport) => transport.close()))
    })
    done()
  },
  { name: 'upstream', dependencies: ['config', 'models'] },
)

/** Says why no connection comes about, which one failed request after another would tell too late. */
function tellSeldom(app: FastifyInstance): (origin: string, error: ConnectError) => void {
  const toldAt = new Map<string, number>()
  app.models.onChange(() => toldAt.clear())
  return (origin, { code, message }) => {
    const targets = targetsAt(app, ({ origin: other }) => other === origin)
    const key = `${code} ${targets.join(' ')}`
    const now = performance.now()
    if (now - (toldAt.get(key) ?? Number.NEGATIVE_INFINITY) < repeatAfterMs) return
    toldAt.set(key, now)
    app.log.error({ targets, error_cause: code }, `no connection to a server: ${message}`)
  }
}

/** Says once for each name which targets it cuts off: their addresses are not for the log. */
function tellOnce(app: FastifyInstance): (hostname: string) => void {
  const told = new Set<string>()
  return (hostname) => {
    if (told.has(hostname)) return
    told.add(hostname)
    app.log.error(
      { targets: targetsAt(app, ({ origin }) => URL.parse(origin)?.hostname === hostname) },
      'the name in api_host leads to a link-local or metadata address, so no connection is made; LLM_ROUTER_ALLOW_LINK_LOCAL=1 allows it',
    )
  }
}

function targetsAt(app: FastifyInstance, isThere: (target: Target) => boolean): string[] {
  const targets = app.models.all().flatMap((model) => [...model.targets, ...model.sleeping])
  return [...new Set(targets.filter(isThere).map(({ id }) => id))]
}
