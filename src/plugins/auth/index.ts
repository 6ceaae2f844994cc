import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { presentedKey, sha256Of } from '../../config/client-keys/key-ring.ts'
import { type ClientKey, hasRole, type Surface, surfaces } from '../../sdk/client-key.ts'
import { modelNotFound, RouterError } from '../../sdk/errors.ts'
import { withAuto } from '../auto/auto-models.ts'
import { withoutBasePath } from '../base-path.ts'
import type { ConsolePage } from '../console/index.ts'
import { type Authenticator, createAuthenticator, usesSession } from './authenticator.ts'
import { type Models, mayUseModel, modelsOf, ownedResponses, type Responses } from './client-view.ts'
import { directoryKeys } from './directory-keys.ts'
import { type Keys, readKeys } from './keys-file.ts'
import type { LimitUse } from './limit-use.ts'
import { createLiveView, type View } from './live-view.ts'
import { openIdConnect } from './oidc/index.ts'
import type { OidcSignIn } from './oidc/sign-in.ts'
import { administrator, createOperatorCheck, requireOperatorKey, withAdminKey } from './operator-proof.ts'
import { publicPaths } from './public-paths.ts'
import { noUse, type QuestionCost, type QuestionUse } from './question-use.ts'
import type { UpstreamCost } from './request-cost.ts'
import { isForOperators, neededRole, needsOperatorKey } from './route-audience.ts'
import { openSessions } from './sessions/index.ts'
import type { Session, Sessions } from './sessions/sessions.ts'
import { signInPage } from './sessions/sign-in-page.ts'
import { checkTokenCap } from './token-cap.ts'
import { type LimitLeft, type UseLimits, useLimits } from './use-limits.ts'

/** Permissions of a request's client. Without authentication, everything is permitted. */
interface Rights {
  models(request: FastifyRequest): Models
  /** Whether the client may use a model: its key lists the model, or an alias of it. */
  mayUse(client: ClientKey, model: string): boolean
  /** Stored responses of this client. */
  responses(request: FastifyRequest): Responses
  /** Whether the route with this pattern can be read without a key. */
  isPublic(route: string | undefined): boolean
  /** Whether the request carries an operator key, with client authentication or without. */
  isOperator(request: FastifyRequest, reply: FastifyReply): boolean
  /** Returns a function that returns what a long-running request may currently see. */
  liveView(request: FastifyRequest, reply: FastifyReply): () => View
  /** Throws 403 for a key without any surface that can use models. */
  requireModelAccess(request: FastifyRequest): void
  /** Remaining limits of the request's client and its groups. */
  limitsLeft(request: FastifyRequest): Promise<LimitLeft[]>
  /**
   * Begins a question: a call to a model that an extension makes on behalf of a request. It counts as one request of the
   * client's key, instead of the request that caused it. Throws 401 for a key that is no longer valid, 403, 404 and 429. Call `end` on
   * the result exactly once.
   */
  beginQuestion(request: FastifyRequest, cost: QuestionCost): Promise<QuestionUse>
}

declare module 'fastify' {
  interface FastifyInstance {
    rights: Rights
    sessions: Sessions
    /** Undefined without LLM_ROUTER_OIDC_ISSUER. */
    oidc: OidcSignIn | undefined
    /** The page that asks a browser for a key, for routes that browsers may open. */
    signInPage(request: FastifyRequest): ConsolePage | undefined
    keys: Keys
  }
  interface FastifyContextConfig {
    /** Upstream cost of a request that does not map to one upstream request with the same body. Must not throw. */
    upstreamCost?: (request: FastifyRequest) => UpstreamCost | undefined
  }
  interface FastifyRequest {
    /** Use of the key's limits; undefined for a key without limits. */
    limitUse: LimitUse | undefined
    /** The session that authenticates it, if no key does. */
    session: Session | undefined
  }
}

interface AuthOptions {
  /** Resolves `${NAME}` references in the keys file. */
  env: Readonly<Record<string, string | undefined>>
}

/**
 * API keys, enabled by LLM_ROUTER_AUTH_ENABLED: who has access, to what, and within which limits. Without it, only
 * routes that change the router are checked; those always require an operator key. docs/client-keys.md documents the
 * guarantees.
 */
export default fp(
  async (app, { env }: AuthOptions) => {
    app.decorateRequest('client')
    app.decorateRequest('limitUse')
    app.decorateRequest('session')
    let beginQuestion: Rights['beginQuestion'] = async () => noUse
    let limitsLeft: (client: ClientKey) => Promise<LimitLeft[]> = async () => []
    let isOperator: Rights['isOperator'] = () => false
    let liveView: Rights['liveView'] = () => () => 'viewer'
    const isPublic = app.config.authEnabled ? publicPaths(app) : () => true
    app.decorate('rights', {
      isPublic,
      models: (request) =>
        withAuto(app, request.client?.models ? modelsOf(app, request.client) : app.models, request),
      mayUse: (client, model) => mayUseModel(app, client, model),
      responses: ({ client }) => (client ? ownedResponses(app.responses, client.id) : app.responses),
      isOperator: (request, reply) => isOperator(request, reply),
      liveView: (request, reply) => liveView(request, reply),
      requireModelAccess: ({ client }) => {
        if (client && app.config.authEnabled && !canUseModels(client)) throw notAllowed()
      },
      limitsLeft: async ({ client }) => (client ? limitsLeft(client) : []),
      beginQuestion: (request, cost) => beginQuestion(request, cost),
    })
    const clientKeys = app.config.authEnabled ? await readClientKeys(app, env) : undefined
    const keys = withAdminKey(app.config.adminKey, clientKeys)
    const sessions = await openSessions(app, keys)
    app.decorate('sessions', sessions)
    app.decorate('keys', keys)
    app.decorate('signInPage', signInPage(app))
    const { oidc, tokenLogin } = await openIdConnect(app, { sessions, keys: clientKeys ?? noKeys })
    app.decorate('oidc', oidc)
    const authenticate = createAuthenticator(app, { keys, sessions, tokenLogin })
    isOperator = createOperatorCheck(
      authenticate,
      (request) => presentedKey(request.headers) !== undefined || usesSession(request, sessions),
    )
    const operators = isOperator
    liveView = createLiveView({ keys, sessions, tokenLogin, isOperator: operators })
    if (!clientKeys && app.config.adminKey !== '') showRouteToOperators(app, keys)
    if (clientKeys) {
      const limits = useLimits(app)
      limitsLeft = limits.left
      beginQuestion = requireKeys(app, { keys: clientKeys, isPublic, authenticate, limits })
    }
    requireOperatorKey(app, keys, authenticate)
  },
  { name: 'auth', dependencies: ['config', 'reload', 'exchange', 'admin-port', 'directory', 'console'] },
)

/**
 * Without client keys, a request with the operator key gets the route headers. Clients may send any key then, so another key is
 * not a failed login.
 */
function showRouteToOperators(app: FastifyInstance, keys: Keys): void {
  app.addHook('onRequest', ({ headers, exchange }, _reply, next) => {
    const key = presentedKey(headers)
    if (key !== undefined && keys.find(key).error === undefined) exchange.showsRoute = true
    next()
  })
}

/** Time after which the key of a request is checked again, in milliseconds. */
const slowBodyMs = 1_000

const unknown = { client: undefined, error: 'unknown' } as const
const noKeys: Keys = { find: () => unknown, findDigest: () => unknown, clients: () => [] }

/** Keys of the file and of the database side by side; the file's are looked up first. */
async function readClientKeys(app: FastifyInstance, env: AuthOptions['env']): Promise<Keys> {
  const file = app.config.authKeysFile === '' ? undefined : await readKeys(app, env)
  const { directory } = app
  if (!directory) return file ?? noKeys
  let database = directoryKeys(directory.snapshot())
  const warnOfTwins = (): void => {
    const ids = new Set(file?.clients().map(({ id }) => id))
    for (const { id } of database.clients)
      if (ids.has(id))
        app.log.warn(
          { client: id },
          'the keys file and the database both have a client with this id; they share its limits',
        )
  }
  warnOfTwins()
  directory.onChange((snapshot) => {
    database = directoryKeys(snapshot)
  })
  const findDigest: Keys['findDigest'] = (sha256) => {
    const login = file?.findDigest(sha256)
    return login?.client ? login : database.ring.findDigest(sha256)
  }
  return {
    find: (key) => findDigest(sha256Of(key)),
    findDigest,
    clients: () => [...(file?.clients() ?? []), ...database.clients],
  }
}

interface RequireKeysOptions {
  keys: Keys
  isPublic: Rights['isPublic']
  authenticate: Authenticator
  limits: UseLimits
}

function requireKeys(
  app: FastifyInstance,
  { keys, isPublic, authenticate, limits }: RequireKeysOptions,
): Rights['beginQuestion'] {
  /** Returns the client of a request that it may make, or the error to send. */
  const identify: Authenticator = (request, reply) => {
    const client = authenticate(request, reply)
    if (client instanceof RouterError) return client
    request.client = client
    request.exchange.client = client.id
    request.exchange.key = client.keyId
    if (client.surfaces.has('operator')) request.exchange.showsRoute = true
    const surface = surfaceOf(app, request)
    if (surface === 'operator' && !hasRole(client, neededRole(request.method, request.routeOptions.config)))
      return notAllowed()
    if (surface !== undefined && !client.surfaces.has(surface)) return notAllowed()
    if (client.mayCall && isModelRequest(request) && !client.mayCall(pathOf(request))) return notAllowed()
    return client
  }
  // Runs before everything except the exchange, which counts the request, so that a rejected client is not asked for
  // its body.
  app.addHook('onRequest', (request, reply, next) => {
    const { config, url } = request.routeOptions
    if (app.adminPort.isUsedBy(request.raw) || config.open) return next()
    if (isPublic(url) && config.role === undefined) return next()
    notStored(reply)
    // Such a route checks the key itself, see requireProof.
    if (!request.is404 && needsOperatorKey(request.method, config)) return next()
    const client = identify(request, reply)
    if (client instanceof RouterError) return next(client)
    // Limits apply to POST only: reading state does no work that a limit protects.
    if (!client.limits || request.method !== 'POST') return next()
    limits.admit(client, client.limits, request, reply).then(() => next(), next)
  })
  // Again after a body that took long: its sender can withhold it until the key has expired or been revoked.
  app.addHook('preValidation', (request, reply, next) => {
    if (!request.client || reply.elapsedTime < slowBodyMs) return next()
    if (needsOperatorKey(request.method, request.routeOptions.config)) return next()
    const client = identify(request, reply)
    next(client instanceof RouterError ? client : undefined)
  })
  // Pages set a header of their own.
  app.addHook('onSend', (request, reply, _payload, next) => {
    if (request.client) notStored(reply)
    next()
  })
  app.addHook('preHandler', (request, reply, next) => {
    const { client, limitUse, body, rawBody } = request
    if (client?.maxTokens !== undefined) checkTokenCap({ body, raw: rawBody }, client.maxTokens)
    if (!limitUse) return next()
    limits.reserve(limitUse, request, reply).then(() => next(), next)
  })
  app.addHook('onReady', async () => {
    for (const { id, models, mayUse } of keys.clients())
      if (models && !app.models.listed().some(({ alias }) => mayUse(alias)))
        app.log.warn({ client: id }, 'this key may not use any model')
  })
  return async (request, cost) => {
    const { client } = request
    if (!client) return noUse
    // A request may make calls for hours, so each one is checked against the current state of the key.
    const now = client.id === administrator.id ? client : keys.clients().find(({ id }) => id === client.id)
    if (!now?.enabled || (now.expiresAt !== undefined && now.expiresAt <= Date.now())) throw noLongerValid()
    if (!canUseModels(now)) throw notAllowed()
    if (!mayUseModel(app, now, cost.model)) throw modelNotFound(cost.model)
    return now.limits ? limits.begin(now, now.limits, request, cost) : noUse
  }
}

/** Responses protected by a key must not be cached (RFC 9111, section 5.2.2.5). */
function notStored(reply: FastifyReply): void {
  reply.header('cache-control', 'no-store')
}

/** Path as the client sent it. */
function pathOf({ originalUrl, server }: FastifyRequest): string {
  return withoutBasePath(originalUrl, server.config.basePath).split('?', 1)[0] ?? ''
}

/** Endpoint lists restrict operations; clients that may use one may also read model lists. */
function isModelRequest({ method }: FastifyRequest): boolean {
  return method === 'POST'
}

/** Whether the key permits more than operating the router. */
function canUseModels({ surfaces }: ClientKey): boolean {
  return surfaces.size > 1 || (surfaces.size === 1 && !surfaces.has('operator'))
}

/**
 * Surface that a route belongs to; undefined for a public or unknown path. A route that declares none belongs to
 * operators.
 */
function surfaceOf(app: FastifyInstance, request: FastifyRequest): Surface | undefined {
  const { surface } = request.routeOptions.config
  if (request.is404) return undefined
  if (isForOperators(request.routeOptions.config)) return 'operator'
  if (surface !== undefined) return surface === 'any' ? undefined : surface
  const spoken = app.errorDialectOf(request)
  return surfaces.find((each) => each === spoken) ?? 'openai'
}

function noLongerValid(): RouterError {
  return new RouterError('auth', 'This API key is no longer valid', { code: 'invalid_api_key' })
}

function notAllowed(): RouterError {
  return new RouterError('forbidden', 'This key may not use this endpoint', { code: 'endpoint_not_allowed' })
}
