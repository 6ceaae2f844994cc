import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { presentedKey } from '../../config/key-ring.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import { RouterError } from '../../sdk/errors.ts'
import { addressBlock, clientAddress } from './client-address.ts'
import { FailedLogins } from './failed-logins.ts'
import type { Keys } from './keys-file.ts'

/** Authenticates a request: returns the client of its key, or the error to send. */
export type Authenticator = (request: FastifyRequest, reply: FastifyReply) => ClientKey | RouterError

/** Unknown, disabled and expired keys get the same error; only the log tells them apart. */
export function createAuthenticator(app: FastifyInstance, keys: Keys): Authenticator {
  const failed = new FailedLogins(() => performance.now())
  return (request, reply) => {
    const key = presentedKey(request.headers)
    if (key === undefined) return missingKey(reply)
    const address = clientAddress(request)
    const block = addressBlock(address)
    const { client, error } = keys.find(key)
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
    app.log.warn({ ...logIds, client_address: address, reason: error, client: client?.id }, 'login refused')
    return invalidKey(reply)
  }
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
  const error = new RouterError('rate_limit', 'Too many different invalid API keys from this address', {
    code: 'too_many_failed_logins',
    retryAfterSeconds: Math.ceil(waitMs / 1000),
    shouldRetry: false,
  })
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
