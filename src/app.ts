import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders, RequestListener, Server } from 'node:http'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { RunningRequests } from './cluster/running-requests.ts'
import type { Config } from './config/settings/settings.ts'
import type { Channel } from './lib/channel.ts'
import activity from './plugins/activity/index.ts'
import adminPort, { type AdminRequests, adminConstraint } from './plugins/admin-port.ts'
import admission from './plugins/admission.ts'
import answerCache from './plugins/answer-cache/index.ts'
import apiDocs from './plugins/api-docs/index.ts'
import { trustProxy } from './plugins/auth/client-address.ts'
import auth from './plugins/auth/index.ts'
import auto from './plugins/auto/index.ts'
import balancer from './plugins/balancer/index.ts'
import basePath, { withoutBasePath } from './plugins/base-path.ts'
import body from './plugins/body/index.ts'
import browserRoot from './plugins/browser-root.ts'
import budgets from './plugins/budgets/index.ts'
import busy from './plugins/busy/index.ts'
import config from './plugins/config.ts'
import connectionBalance from './plugins/connection-balance.ts'
import webConsole from './plugins/console/index.ts'
import consoleEvents from './plugins/console-events/index.ts'
import debugLog from './plugins/debug-log.ts'
import directory from './plugins/directory/index.ts'
import drain from './plugins/drain.ts'
import effects from './plugins/effects.ts'
import engines from './plugins/engines/index.ts'
import errors from './plugins/errors/index.ts'
import exchange from './plugins/exchange/index.ts'
import extensions from './plugins/extensions/index.ts'
import gateway from './plugins/gateway/index.ts'
import health from './plugins/health/index.ts'
import holding from './plugins/holding.ts'
import internalCalls from './plugins/internal-calls/index.ts'
import metrics from './plugins/metrics/index.ts'
import models, { type ModelsOptions } from './plugins/models/index.ts'
import operations from './plugins/operations/index.ts'
import overrides from './plugins/overrides/index.ts'
import problems from './plugins/problems/index.ts'
import processors from './plugins/processors/index.ts'
import prompts from './plugins/prompts/index.ts'
import registries from './plugins/registries.ts'
import reload, { type ReloadOptions } from './plugins/reload/index.ts'
import responseStore from './plugins/response-store.ts'
import retrieval from './plugins/retrieval/index.ts'
import routers from './plugins/routers.ts'
import scaling from './plugins/scaling.ts'
import settings from './plugins/settings/index.ts'
import shedding from './plugins/shedding/index.ts'
import status from './plugins/status/index.ts'
import statusEvents from './plugins/status/status-events.ts'
import strictHttp, { routableTarget } from './plugins/strict-http.ts'
import textEndpoints from './plugins/text-endpoints/index.ts'
import tracing from './plugins/tracing/index.ts'
import upstream from './plugins/upstream.ts'
import usage from './plugins/usage/index.ts'
import validation, { noCompilers } from './plugins/validation.ts'
import { connectionLimit, createHttpServer, defaultLimits } from './runtime/http-server.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Short description of the log file's current problem; undefined if there is none. */
    logError(): string | undefined
  }
}

export interface AppOptions {
  config: Config
  /** Resolves `${NAME}` references in models-config.json. */
  env: Record<string, string | undefined>
  logger: FastifyBaseLogger
  /** Node's start options, from its command line and `NODE_OPTIONS`: they determine the heap limits. */
  nodeOptions?: string
  /** Short description of the log file's current problem. */
  logError?: () => string | undefined
  /** Channel to the primary if this process is a cluster worker. */
  primary?: Channel
  /** File in which the cluster's primary can read the running requests of this process. */
  running?: RunningRequests
  /** 0 (inclusive) to 1 (exclusive), for strategies; defaults to `Math.random`. */
  random?: () => number
  /** Called last when the app closes. */
  onClosed?: () => Promise<void>
  /** Resolves a server's name to all of its addresses; defaults to `dns.lookup`. */
  lookup?: ReloadOptions['lookup']
  /** Model servers found on this machine, for a start without configuration. */
  found?: ModelsOptions['found']
}

/** Builds the complete router, identically for production and tests. Throws ConfigError if it cannot start. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const parts: ServerParts = { createServer: serverFactory(options), adminRequests: new WeakSet() }
  const app = createInstance(options, parts)
  try {
    await addPlugins(app, options, parts)
  } catch (error) {
    // Not awaited, because nothing may delay the message of a failed start.
    app.close().catch(() => undefined)
    throw error
  }
  return app
}

interface ServerParts {
  createServer: ReturnType<typeof serverFactory>
  adminRequests: AdminRequests
}

function createInstance(options: AppOptions, { createServer, adminRequests }: ServerParts): FastifyInstance {
  const app = fastify({
    loggerInstance: options.logger,
    // The exchange logs one line per request; Fastify's logging would miss requests whose client disconnected.
    logController: new LogController({ disableRequestLogging: true }),
    // A child logger would add nothing: each log line carries the request's fields itself.
    childLoggerFactory: (logger) => logger,
    genReqId: requestIdOf,
    bodyLimit: options.config.bodyLimitBytes,
    trustProxy: trustProxy(options.config.trustedProxies),
    schemaController: { compilersFactory: noCompilers },
    serverFactory: createServer,
    // Shutdown hooks wait for clients, for longer than a plugin may take to load.
    pluginTimeout: 0,
    // The HTTP server has already replied.
    clientErrorHandler: () => undefined,
    rewriteUrl: (request) => withoutBasePath(routableTarget(request), options.config.basePath),
    // Model names can be long; the limit on header size bounds them.
    routerOptions: {
      ignoreTrailingSlash: true,
      maxParamLength: 16 * 1024,
      ...(options.config.adminPort > 0 ? { constraints: { listener: adminConstraint(adminRequests) } } : {}),
    },
    // Running connections still get a response; only the listener closes at once.
    return503OnClosing: false,
  })
  const { onClosed } = options
  // Fastify runs these hooks in reverse order.
  if (onClosed) app.addHook('onClose', onClosed)
  return app
}

async function addPlugins(
  app: FastifyInstance,
  options: AppOptions,
  { createServer, adminRequests }: ServerParts,
): Promise<void> {
  await app.register(config, options)
  await app.register(basePath)
  app.decorate('logError', options.logError ?? (() => undefined))
  await app.register(apiDocs)
  await app.register(registries)
  await app.register(reload, { env: options.env, lookup: options.lookup })
  await app.register(exchange, options.running ? { running: options.running } : {})
  await app.register(debugLog)
  await app.register(drain)
  await app.register(connectionBalance)
  await app.register(adminPort, { requests: adminRequests, createServer })
  await app.register(browserRoot)
  await app.register(tracing, { env: options.env })
  await app.register(directory)
  await app.register(webConsole)
  // Its hook runs before that of the limits, which depend on the model that it chooses.
  await app.register(auto)
  await app.register(auth, { env: options.env })
  await app.register(strictHttp)
  await app.register(errors)
  await app.register(validation)
  await app.register(shedding, { nodeOptions: options.nodeOptions ?? '' })
  await app.register(admission)
  await app.register(body)
  await app.register(prompts)
  await app.register(textEndpoints)
  await app.register(retrieval)
  await app.register(processors)
  await app.register(answerCache)
  await app.register(extensions)
  await app.register(models, { env: options.env, ...(options.found ? { found: options.found } : {}) })
  await app.register(upstream)
  await app.register(engines)
  await app.register(health)
  await app.register(balancer)
  await app.register(busy)
  await app.register(overrides)
  await app.register(holding)
  await app.register(responseStore)
  await app.register(gateway)
  await app.register(internalCalls)
  await app.register(operations)
  await app.register(usage)
  await app.register(budgets)
  await app.register(metrics)
  await app.register(activity)
  await app.register(status)
  await app.register(problems)
  await app.register(settings, { env: options.env })
  await app.register(statusEvents)
  await app.register(consoleEvents)
  await app.register(scaling)
  await app.register(routers)
  await app.register(effects)
  await app.register(autoload, { dir: join(import.meta.dirname, 'routes'), dirNameRoutePrefix: false })
  await app.ready()
}

function serverFactory({ config, logger }: AppOptions): (handler: RequestListener) => Server {
  const limits = {
    ...defaultLimits,
    writeStallMs: config.writeStallMs,
    maxConnections: connectionLimit(),
  }
  return (handler) =>
    createHttpServer(handler, limits, (code) =>
      logger.debug({ code }, 'connection rejected before a request'),
    )
}

/** Uses the client's `x-request-id` if it is well-formed, because it goes into headers and logs. */
function requestIdOf({ headers }: { headers: IncomingHttpHeaders }): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(given) ? given : randomUUID()
}
