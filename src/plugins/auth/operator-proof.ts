import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { KeyRing, sha256Of } from '../../config/client-keys/key-ring.ts'
import { type ClientKey, hasRole, type Role } from '../../sdk/client-key.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Authenticator } from './authenticator.ts'
import type { Keys } from './keys-file.ts'
import { neededRole, needsOperatorKey } from './route-audience.ts'

/** Combines the client keys, if any, with LLM_ROUTER_ADMIN_KEY, if set. */
export function withAdminKey(adminKey: string, keys: Keys | undefined): Keys {
  const ring = new KeyRing(adminKey === '' ? [] : [{ client: administrator, sha256: sha256Of(adminKey) }])
  const clients = adminKey === '' ? [] : [administrator]
  const findDigest: Keys['findDigest'] = (sha256) => {
    const login = ring.findDigest(sha256)
    return login.error === undefined ? login : (keys?.findDigest(sha256) ?? login)
  }
  return {
    find: (key) => findDigest(sha256Of(key)),
    findDigest,
    clients: () => [...clients, ...(keys?.clients() ?? [])],
  }
}

/** Requires an operator key on every route that changes the router, regardless of the configuration. */
export function requireOperatorKey(app: FastifyInstance, keys: Keys, authenticate: Authenticator): void {
  const hasOthers = app.config.oidcIssuer !== ''
  const checkOperator: onRequestHookHandler = (request, reply, next) => {
    const role = neededRole(request.method, request.routeOptions.config)
    if (!hasOthers && !keys.clients().some((client) => hasRole(client, role))) return next(noOperatorKey())
    reply.header('cache-control', 'no-store')
    const client = authenticate(request, reply)
    if (client instanceof RouterError) return next(client)
    request.client = client
    request.exchange.client = client.id
    next(hasRole(client, role) ? undefined : notAnOperator(role))
  }
  app.addHook('onRoute', (route) => {
    if (![route.method].flat().some((method) => needsOperatorKey(method, route.config))) return
    // Runs before the route's own hook, which may reply.
    route.onRequest = [checkOperator, ...[route.onRequest ?? []].flat()]
    // Again once the body has arrived: its sender can withhold it until long after the key was revoked.
    route.preValidation = [checkOperator, ...[route.preValidation ?? []].flat()]
  })
}

/**
 * Returns a function that checks whether a request has an operator key or an operator's session. An invalid
 * key counts as a failed login.
 */
export function createOperatorCheck(
  authenticate: Authenticator,
  isSent: (request: FastifyRequest) => boolean,
) {
  return (request: FastifyRequest, reply: FastifyReply): boolean => {
    if (request.client) return hasRole(request.client, 'operator')
    if (!isSent(request)) return false
    const client = authenticate(request, reply)
    return !(client instanceof RouterError) && hasRole(client, 'operator')
  }
}

/** Client of the LLM_ROUTER_ADMIN_KEY. */
export const administrator: ClientKey = {
  id: 'admin-key',
  enabled: true,
  expiresAt: undefined,
  role: 'admin',
  surfaces: new Set(['operator'] as const),
  models: undefined,
  mayUse: () => true,
  choosesCanary: true,
  limits: undefined,
  maxTokens: undefined,
}

function noOperatorKey(): RouterError {
  const message =
    'This request requires an operator key, but none is set: start the router with LLM_ROUTER_ADMIN_KEY, ' +
    'or give a key in LLM_ROUTER_AUTH_MEMORY_SEED_FILE the surface "operator"'
  return new RouterError('forbidden', message, { code: 'operator_key_not_set' })
}

function notAnOperator(role: Role): RouterError {
  if (role === 'admin')
    return new RouterError(
      'forbidden',
      'This request requires the role admin: LLM_ROUTER_ADMIN_KEY or the key of a client with that role',
      {
        code: 'role_missing',
      },
    )
  const message =
    'This request requires an operator key: LLM_ROUTER_ADMIN_KEY or a key with the surface "operator"'
  return new RouterError('forbidden', message, { code: 'endpoint_not_allowed' })
}
