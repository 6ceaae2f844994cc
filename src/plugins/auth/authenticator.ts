import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type KeyLookup, presentedKey } from '../../config/client-keys/key-ring.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import { RouterError } from '../../sdk/errors.ts'
import { addressBlock, clientAddress } from './client-address.ts'
import { FailedLogins } from './failed-logins.ts'
import type { Keys } from './keys-file.ts'
import { isForPeople, isSafe } from './route-audience.ts'
import { isFromOwnPage } from './sessions/origin.ts'
import type { Sessions } from './sessions/sessions.ts'

/** Authenticates a request: returns the client of its key, token or session, or the error to send. */
export type Authenticator = (request: FastifyRequest, reply: FastifyReply) => ClientKey | RouterError

interface AuthenticatorOptions {
  keys: Keys
  sessions: Sessions
  /** Result of checking the JSON Web Token of a request; undefined if it has none. */
  tokenLogin(request: FastifyRequest): KeyLookup | RouterError | undefined
}

/** Unknown, disabled and expired keys get the same error; only the log distinguishes them. */
export function createAuthenticator(
  app: FastifyInstance,
  { keys, sessions, tokenLogin }: AuthenticatorOptions,
): Authenticator {
  const failed = new FailedLogins(() => performance.now())
  return (request, reply) => {
    const key = presentedKey(request.headers)
    if (key === undefined) {
      return usesSession(request, sessions) ? sessionClient(app, sessions, request, reply) : missingKey(reply)
    }
    const address = clientAddress(request)
    const block = addressBlock(address)
    const login = tokenLogin(request) ?? keys.find(key)
    if (login instanceof RouterError) return login
    const { client, error } = login
    const waitMs = failed.waitMs(block)
    if (error === undefined) {
      if (waitMs > 0 && !failed.alwaysPasses(block, key, client.id)) return tooMany(reply, waitMs)
      failed.succeeded(block, client.id)
      return client
    }
    // A rejection without a key check must not depend on the key, unless that key has already been rejected.
    if (waitMs > 0 && !failed.hasFailed(block, key)) return tooMany(reply, waitMs)
    failed.failed(block, key)
    const { logIds } = request.exchange
    app.log.warn(
      { ...logIds, client_address: address, reason: error, client: client?.id },
      'credentials rejected',
    )
    return invalidKey(reply)
  }
}

/** Sessions are accepted on operator routes and pages only, and never together with a key. */
export function usesSession(request: FastifyRequest, sessions: Sessions): boolean {
  return (
    presentedKey(request.headers) === undefined &&
    !request.is404 &&
    isForPeople(request.routeOptions.config) &&
    sessions.isSent(request)
  )
}

/**
 * Browsers send cookies with cross-site requests too, so a request that changes something must come from a page of this router.
 */
function sessionClient(
  app: FastifyInstance,
  sessions: Sessions,
  request: FastifyRequest,
  reply: FastifyReply,
): ClientKey | RouterError {
  const found = sessions.find(request)
  if (!found) {
    sessions.forget(request, reply)
    return sessionEnded(reply)
  }
  const needsOrigin = !isSafe(request.method) || request.routeOptions.config.live
  if (needsOrigin && !isFromOwnPage(request, app.config.publicUrl))
    return new RouterError('forbidden', "A session is accepted only from the router's own pages", {
      code: 'origin_not_allowed',
    })
  request.session = found.session
  return found.client
}

function sessionEnded(reply: FastifyReply): RouterError {
  return closingConnection(
    reply,
    new RouterError('auth', 'This session has ended: sign in again', { code: 'session_ended' }),
  )
}

function missingKey(reply: FastifyReply): RouterError {
  const message = 'No API key: send it as "Authorization: Bearer ...", "x-api-key" or "x-goog-api-key"'
  return closingConnection(reply, new RouterError('auth', message, { code: 'missing_api_key' }))
}

function invalidKey(reply: FastifyReply): RouterError {
  const error = new RouterError('auth', 'This API key is not valid', { code: 'invalid_api_key' })
  return closingConnection(reply, error)
}

function tooMany(reply: FastifyReply, waitMs: number): RouterError {
  const error = new RouterError(
    'rate_limit',
    'Too many different invalid API keys from this address; use a valid key, or wait',
    {
      code: 'too_many_failed_logins',
      retryAfterSeconds: Math.ceil(waitMs / 1000),
      shouldRetry: false,
    },
  )
  return closingConnection(reply, error)
}

/**
 * Closes the connection: further input of an unauthenticated client is not read, because it may be intended for someone
 * else.
 */
function closingConnection(reply: FastifyReply, error: RouterError): RouterError {
  reply.header('connection', 'close')
  // RFC 9110, section 11.6.1, and RFC 6750, section 3.
  if (error.kind === 'auth') reply.header('www-authenticate', 'Bearer realm="llm-router"')
  return error
}
