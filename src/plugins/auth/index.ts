import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type ClientKey, type Surface, surfaceOfDialect } from '../../sdk/client-key.ts'
import { modelNotFound, RouterError } from '../../sdk/errors.ts'
import type { ResponseStore } from '../../stores/responses/store.ts'
import { type Door, openDoor } from './door.ts'
import { type Keys, readKeys } from './keys-file.ts'
import type { LimitUse } from './limit-use.ts'
import { administrator, needsOperatorKey, requireProof, withAdminKey } from './operator-proof.ts'
import { noUse, type QuestionCost, type QuestionUse } from './question-use.ts'
import type { UpstreamCost } from './request-cost.ts'
import { checkTokenCap } from './token-cap.ts'
import { useLimits } from './use-limits.ts'

type Responses = Pick<ResponseStore, 'find' | 'keep' | 'remove'>
type Models = Pick<FastifyInstance['models'], 'all' | 'find' | 'findLoosely'>

/** What the client of a request has a right to. Where no keys are asked for, that is everything. */
interface Rights {
  models(request: FastifyRequest): Models
  /** The stored responses of this client. */
  responses(request: FastifyRequest): Responses
  /** Throws 403 for a key that may use no surface on which models are asked. */
  checkAsking(request: FastifyRequest): void
  /**
   * A question that an endpoint asks a model on its own: counts as one request of the client's key, in place of the
   * request it is asked for. Throws 401 for a key that is no longer valid, 403, 404 and 429. Call `end` once, at its end.
   */
  beginQuestion(request: FastifyRequest, cost: QuestionCost): Promise<QuestionUse>
}

declare module 'fastify' {
  interface FastifyInstance {
    rights: Rights
  }
  interface FastifyContextConfig {
    /** What becomes of a request upstream, where that is not one request with the body that came. Throws nothing. */
    upstreamCost?: (request: FastifyRequest) => UpstreamCost | undefined
  }
  interface FastifyRequest {
    /** What it takes of the limits of that key; undefined where it has none. */
    limitUse: LimitUse | undefined
  }
}

interface AuthOptions {
  /** Read for `${NAME}` in the keys file. */
  env: Readonly<Record<string, string | undefined>>
}

/**
 * Keys of clients, with LLM_ROUTER_AUTH_ENABLED: who may come in, what they may use and how much of it. Without it nothing
 * runs for a request, but where it changes the router: that always takes an operator key. docs/client-keys.md says what is
 * promised.
 */
export default fp(
  async (app, { env }: AuthOptions) => {
    app.decorateRequest('client')
    app.decorateRequest('limitUse')
    let beginQuestion: Rights['beginQuestion'] = async () => noUse
    app.decorate('rights', {
      models: ({ client }) => (client?.models ? modelsOf(app, client) : app.models),
      responses: ({ client }) => (client ? ownedResponses(app.responses, client.id) : app.responses),
      checkAsking: ({ client }) => {
        if (client && app.config.authEnabled && !asksModels(client)) throw notAllowed()
      },
      beginQuestion: (request, cost) => beginQuestion(request, cost),
    })
    const clientKeys = app.config.authEnabled ? await readKeys(app, env) : undefined
    const keys = withAdminKey(app.config.adminKey, clientKeys)
    const enter = openDoor(app, keys)
    if (clientKeys) beginQuestion = requireKeys(app, clientKeys, enter)
    requireProof(app, keys, enter)
  },
  { name: 'auth', dependencies: ['config', 'reload', 'exchange', 'admin-port'] },
)

function requireKeys(app: FastifyInstance, keys: Keys, enter: Door): Rights['beginQuestion'] {
  const isPublic = publicPaths(app)
  const limits = useLimits(app)
  // Before all else, so that no body is asked for; only the exchange is there already, which counts the request.
  app.addHook('onRequest', (request, reply, next) => {
    if (app.adminPort.isUsedBy(request.raw) || isPublic(request.routeOptions.url)) return next()
    // It asks for its key by itself, see requireProof.
    if (!request.is404 && needsOperatorKey(request.method, request.routeOptions.config)) return next()
    const client = enter(request, reply)
    if (client instanceof RouterError) return next(client)
    request.client = client
    request.exchange.client = client.id
    const surface = surfaceOf(app, request)
    if (surface !== undefined && !client.surfaces.has(surface)) return next(notAllowed())
    // What only reads what is here costs nothing that a limit is for.
    if (!client.limits || request.method !== 'POST') return next()
    limits.admit(client, client.limits, request, reply).then(() => next(), next)
  })
  app.addHook('preHandler', (request, reply, next) => {
    const { client, limitUse, body, rawBody } = request
    if (client?.maxTokens !== undefined) checkTokenCap({ body, raw: rawBody }, client.maxTokens)
    if (!limitUse) return next()
    limits.reserve(limitUse, request, reply).then(() => next(), next)
  })
  app.addHook('onReady', async () => {
    for (const { id, models, mayUse } of keys.clients())
      if (models && !app.models.all().some(({ alias }) => mayUse(alias)))
        app.log.warn({ client: id }, 'this key may use no model')
  })
  return async (request, cost) => {
    const { client } = request
    if (!client) return noUse
    // A request may ask for hours: what counts is the key as it is now.
    const now = client.id === administrator.id ? client : keys.clients().find(({ id }) => id === client.id)
    if (!now?.enabled || (now.expiresAt !== undefined && now.expiresAt <= Date.now())) throw noLongerValid()
    if (!asksModels(now)) throw notAllowed()
    if (!now.mayUse(cost.model)) throw modelNotFound(cost.model)
    return now.limits ? limits.begin(now, now.limits, request, cost) : noUse
  }
}

/** Whether a key is for more than looking at the router and changing it. */
function asksModels({ surfaces }: ClientKey): boolean {
  return surfaces.size > 1 || (surfaces.size === 1 && !surfaces.has('operator'))
}

/** Undefined: the path is nobody's, or for everybody. Who does not say whom a route is for has it for operators. */
function surfaceOf(app: FastifyInstance, request: FastifyRequest): Surface | undefined {
  const { admin, surface, dialect, dialectOf } = request.routeOptions.config
  if (request.is404) return undefined
  if (admin) return 'operator'
  if (surface !== undefined) return surface === 'any' ? undefined : surface
  if (dialect === undefined && dialectOf === undefined) return 'operator'
  return surfaceOfDialect(app.errorDialectOf(request))
}

function noLongerValid(): RouterError {
  return new RouterError('auth', 'This API key is no longer valid', { code: 'invalid_api_key' })
}

function notAllowed(): RouterError {
  return new RouterError('forbidden', 'This key may not use this endpoint', { code: 'endpoint_not_allowed' })
}

/** A model without a right to it is as if it were not there: the names of others' models are nobody's business. */
function modelsOf(app: FastifyInstance, { mayUse }: ClientKey): Models {
  const allowed = (model: ReturnType<Models['find']>) => (model && mayUse(model.alias) ? model : undefined)
  return {
    all: () => app.models.all().filter(({ alias }) => mayUse(alias)),
    find: (name) => allowed(app.models.find(name)),
    findLoosely: (name) => allowed(app.models.findLoosely(name)),
  }
}

/** The stored responses of one client. A response of somebody else is as if it were not there. */
export function ownedResponses(store: Responses, client: string): Responses {
  const own = (id: string): string => `${client}/${id}`
  return {
    find: (id) => store.find(own(id)),
    keep: (id, stored) => store.keep(own(id), stored),
    remove: (id) => store.remove(own(id)),
  }
}

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
