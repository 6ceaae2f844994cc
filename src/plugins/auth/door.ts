import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { presentedKey } from '../../config/key-ring.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import { RouterError } from '../../sdk/errors.ts'
import { addressBlock, clientAddress } from './client-address.ts'
import { FailedLogins } from './failed-logins.ts'
import type { Keys } from './keys-file.ts'

/** Whose key a request has come with, or the error for its client. */
export type Door = (request: FastifyRequest, reply: FastifyReply) => ClientKey | RouterError

/** Unknown, disabled and expired keys are told the same; which it was is for the log. */
export function openDoor(app: FastifyInstance, keys: Keys): Door {
  const failed = new FailedLogins(() => performance.now())
  return (request, reply) => {
    const key = presentedKey(request.headers)
    if (key === undefined) return noKey(reply)
    const address = clientAddress(request)
    const block = addressBlock(address)
    const { client, error } = keys.find(key)
    const waitMs = failed.waitMs(block)
    if (error === undefined) {
      if (waitMs > 0 && !failed.alwaysPasses(block, key, client.id)) return tooMany(reply, waitMs)
      failed.succeeded(block, client.id)
      return client
    }
    // What is refused without a look at the key must not depend on the key, but for one that was refused before.
    if (waitMs > 0 && !failed.hasFailed(block, key)) return tooMany(reply, waitMs)
    failed.failed(block, key)
    const { logIds } = request.exchange
    app.log.warn({ ...logIds, client_address: address, reason: error, client: client?.id }, 'login refused')
    return wrongKey(reply)
  }
}

function noKey(reply: FastifyReply): RouterError {
  const message = 'No API key: send it as "Authorization: Bearer ...", "x-api-key" or "x-goog-api-key"'
  return turnedAway(reply, new RouterError('auth', message, { code: 'missing_api_key' }))
}

function wrongKey(reply: FastifyReply): RouterError {
  const error = new RouterError('auth', 'This API key is not valid', { code: 'invalid_api_key' })
  return turnedAway(reply, error)
}

function tooMany(reply: FastifyReply, waitMs: number): RouterError {
  const error = new RouterError('rate_limit', 'Too many different wrong API keys came from this address', {
    code: 'too_many_failed_logins',
    retryAfterSeconds: Math.ceil(waitMs / 1000),
    shouldRetry: false,
  })
  return turnedAway(reply, error)
}

/** What may follow on the connection of a stranger is not read: it could be meant for somebody else's eyes. */
function turnedAway(reply: FastifyReply, error: RouterError): RouterError {
  reply.header('connection', 'close')
  // RFC 9110, section 11.6.1, and RFC 6750, section 3.
  if (error.kind === 'auth') reply.header('www-authenticate', 'Bearer realm="llm-router"')
  return error
}
