import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { ConnectError } from '../lib/connect-error.ts'
import { checkedLookup } from '../relay/upstream/checked-lookup.ts'
import { createHttpTransport, type HttpTransport } from '../relay/upstream/http-transport.ts'
import { collectAfterBytes } from '../runtime/garbage-collector.ts'
import { allTargets, type Target } from '../sdk/target.ts'
import type { Connection, Transport } from '../sdk/transport.ts'

declare module 'fastify' {
  interface FastifyInstance {
    upstream: {
      /** Transport to a target: pooled sockets, or the provider type's own transport. */
      transportOf(target: Target): Transport
    }
  }
}

/** A host that accepts no connection in this time counts as down, however long its responses may take. */
const maxConnectMs = 10_000
/** Interval at which the same connection error is logged again, in milliseconds. */
const repeatAfterMs = 60_000

export default fp(
  (app, _options, done) => {
    const settings = {
      connectTimeoutMs: Math.min(app.config.externalTimeoutMs, maxConnectMs),
      onBytes: collectAfterBytes(),
      lookup: checkedLookup({ onRefused: logOnce(app), allowsAll: app.config.allowLinkLocal }),
    }
    const log = logRarely(app)
    const createTransport = (connection?: Connection): HttpTransport =>
      createHttpTransport({
        ...settings,
        connection,
        onConnectError: (origin, error) => log(origin, connection, error),
      })
    const direct = createTransport()
    /** Transports by connection settings: sockets are never shared between different credentials. */
    const special = new Map<string, HttpTransport>()
    const transports = new WeakMap<Target, Transport>()
    const specialFor = (target: Target): HttpTransport => {
      const key = JSON.stringify(target.connection)
      const transport = special.get(key) ?? createTransport(target.connection)
      special.set(key, transport)
      return transport
    }
    app.decorate('upstream', {
      transportOf(target) {
        if (!target.type.createTransport && target.connection === undefined) return direct
        let transport = transports.get(target)
        if (!transport) {
          transport = target.type.createTransport?.(target) ?? specialFor(target)
          transports.set(target, transport)
        }
        return transport
      },
    })
    app.models.onChange(() => {
      const inUse = new Set(
        app.models
          .all()
          .flatMap(allTargets)
          .map(({ connection }) => JSON.stringify(connection)),
      )
      // Requests on the removed transports continue; their idle sockets time out.
      for (const key of special.keys()) if (!inUse.has(key)) special.delete(key)
    })
    app.addHook('onClose', async () => {
      await Promise.all([direct, ...special.values()].map((transport) => transport.close()))
    })
    done()
  },
  { name: 'upstream', dependencies: ['config', 'models'] },
)

/** Logs why connections fail, at most once per minute for the same error. */
function logRarely(
  app: FastifyInstance,
): (origin: string, connection: Connection | undefined, error: ConnectError) => void {
  const loggedAt = new Map<string, number>()
  app.models.onChange(() => loggedAt.clear())
  return (origin, connection, { code, message }) => {
    const targets = targetsAt(
      app,
      (target) => target.origin === origin && isDeepStrictEqual(target.connection, connection),
    )
    const key = `${code} ${targets.join(' ')}`
    const now = performance.now()
    if (now - (loggedAt.get(key) ?? Number.NEGATIVE_INFINITY) < repeatAfterMs) return
    loggedAt.set(key, now)
    app.log.error({ targets, error_cause: code }, `cannot connect to a server: ${message}`)
  }
}

/** Logs a refused name once, with the affected targets. Addresses must not appear in the log. */
function logOnce(app: FastifyInstance): (hostname: string) => void {
  const logged = new Set<string>()
  return (hostname) => {
    if (logged.has(hostname)) return
    logged.add(hostname)
    app.log.error(
      { targets: targetsAt(app, ({ origin }) => URL.parse(origin)?.hostname === hostname) },
      'the name in api_host resolves to a link-local or metadata address; connections are refused unless LLM_ROUTER_ALLOW_LINK_LOCAL=1',
    )
  }
}

function targetsAt(app: FastifyInstance, isThere: (target: Target) => boolean): string[] {
  const targets = app.models.all().flatMap((model) => allTargets(model))
  return [...new Set(targets.filter(isThere).map(({ id }) => id))]
}
