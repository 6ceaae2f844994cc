import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, RequestListener, Server } from 'node:http'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { RunningRequests } from './cluster/running-requests.ts'
import type { Config } from './config/settings.ts'
import type { Channel } from './lib/channel.ts'
import adminPort, { type AdminRequests, adminConstraint } from './plugins/admin-port.ts'
import admission from './plugins/admission.ts'
import apiDocs from './plugins/api-docs/index.ts'
import { trustProxy } from './plugins/auth/client-address.ts'
import auth from './plugins/auth/index.ts'
import balancer from './plugins/balancer/index.ts'
import basePath, { withoutBasePath } from './plugins/base-path.ts'
import body from './plugins/body/index.ts'
import config from './plugins/config.ts'
import connectionBalance from './plugins/connection-balance.ts'
import drain from './plugins/drain.ts'
import engines from './plugins/engines/index.ts'
import errors from './plugins/errors/index.ts'
import exchange from './plugins/exchange/index.ts'
import extensions from './plugins/extensions.ts'
import gateway from './plugins/gateway/index.ts'
import health from './plugins/health/index.ts'
import metrics from './plugins/metrics/index.ts'
import models, { type ModelsOptions } from './plugins/models/index.ts'
import operations from './plugins/operations/index.ts'
import prompts from './plugins/prompts/index.ts'
import registries from './plugins/registries.ts'
import reload from './plugins/reload/index.ts'
import responseStore from './plugins/response-store.ts'
import shedding from './plugins/shedding/index.ts'
import status from './plugins/status/index.ts'
import statusEvents from './plugins/status/status-events.ts'
import strictHttp, { routableTarget } from './plugins/strict-http.ts'
import textEndpoints from './plugins/text-endpoints/index.ts'
import tracing from './plugins/tracing/index.ts'
import upstream from './plugins/upstream.ts'
import validation, { noCompilers } from './plugins/validation.ts'
import { connectionLimit, createHttpServer, defaultLimits } from './runtime/http-server.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** What is wrong with the log file now, in a few words; undefined: nothing. */
    logError(): string | undefined
  }
}

export interface AppOptions {
  config: Config
  /** Read for `${NAME}` in models-config.json. */
  env: Record<string, string | undefined>
  logger: FastifyBaseLogger
  /** The options that Node was started with, from its command line and `NODE_OPTIONS`: they say how much memory it has. */
  nodeOptions?: string
  /** What is wrong with the log file now, in a few words. */
  logError?: () => string | undefined
  /** The primary of the cluster that this process is a worker of. */
  primary?: Channel
  /** Where the primary of a cluster can see which requests this process works on. */
  running?: RunningRequests
  /** 0 (included) to 1 (excluded), for the strategies; `Math.random` unless given. */
  random?: () => number
  /** Called last when the app closes. */
  onClosed?: () => Promise<void>
  /** Model servers on this machine, for a start without any configuration. */
  found?: ModelsOptions['found']
}

/** The whole router, the same for production and tests. Throws ConfigError when it cannot start. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const createServer = serverFactory(options)
  const adminRequests: AdminRequests = new WeakSet()
  const app = fastify({
    loggerInstance: options.logger,
    // The exchange writes the one line per request; Fastify's would miss clients that left.
    logController: new LogController({ disableRequestLogging: true }),
    // Its lines would be the same: what they tell of a request they tell by themselves.
    childLoggerFactory: (logger) => logger,
    genReqId: requestIdOf,
    bodyLimit: options.config.bodyLimitBytes,
    trustProxy: trustProxy(options.config.trustedProxies),
    schemaController: { compilersFactory: noCompilers },
    serverFactory: createServer,
    // The hooks at the end wait for clients, for longer than a plugin may take to load.
    pluginTimeout: 0,
    // The server has answered such a client.
    clientErrorHandler: () => undefined,
    rewriteUrl: (request) => withoutBasePath(routableTarget(request), options.config.basePath),
    // Names of models may be long; the size of a request's headers bounds them.
    routerOptions: {
      ignoreTrailingSlash: true,
      maxParamLength: 16 * 1024,
      ...(options.config.adminPort > 0 ? { constraints: { listener: adminConstraint(adminRequests) } } : {}),
    },
    // A client waits for its answer on the socket that it has; the listener alone is closed at once.
    return503OnClosing: false,
  })
  const { onClosed } = options
  // Fastify runs these hooks in reverse order.
  if (onClosed) app.addHook('onClose', onClosed)
  await app.register(config, options)
  await app.register(basePath)
  app.decorate('logError', options.logError ?? (() => undefined))
  await app.register(apiDocs)
  await app.register(registries)
  await app.register(reload)
  await app.register(exchange, options.running ? { running: options.running } : {})
  await app.register(drain)
  await app.register(connectionBalance)
  await app.register(adminPort, { requests: adminRequests, createServer })
  await app.register(tracing, { env: options.env })
  await app.register(auth, { env: options.env })
  await app.register(strictHttp)
  await app.register(errors)
  await app.register(validation)
  await app.register(shedding, { nodeOptions: options.nodeOptions ?? '' })
  await app.register(admission)
  await app.register(body)
  await app.register(prompts)
  await app.register(textEndpoints)
  await app.register(extensions)
  await app.register(models, { env: options.env, ...(options.found ? { found: options.found } : {}) })
  await app.register(upstream)
  await app.register(engines)
  await app.register(health)
  await app.register(balancer)
  await app.register(responseStore)
  await app.register(gateway)
  await app.register(operations)
  await app.register(metrics)
  await app.register(status)
  await app.register(statusEvents)
  await app.register(autoload, { dir: join(import.meta.dirname, 'routes'), dirNameRoutePrefix: false })
  await app.ready()
  return app
}

function serverFactory({ config, logger }: AppOptions): (handler: RequestListener) => Server {
  const limits = {
    ...defaultLimits,
    writeStallMs: config.writeStallMs,
    maxConnections: connectionLimit(),
  }
  return (handler) =>
    createHttpServer(handler, limits, (code) => logger.debug({ code }, 'refused before it was a request'))
}

/** The client's own id where it is well formed: it goes into headers and logs. */
function requestIdOf({ headers }: { headers: IncomingHttpHeaders }): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(given) ? given : randomUUID()
}
