import type { FastifyInstance, FastifyRequest } from 'fastify'
import { errors } from 'jose'
import { type KeyLookup, presentedKey } from '../../../config/client-keys/key-ring.ts'
import { RouterError } from '../../../sdk/errors.ts'
import type { Keys } from '../keys-file.ts'
import { claimOf } from './claims.ts'
import { clockToleranceSeconds, type Provider } from './provider.ts'

/** Result of a token: client id and expiry, or the reason why it is invalid. */
type Checked = { client: string; endsAt: number } | { error: 'unknown' | 'expired' } | RouterError

/**
 * Checks JSON Web Tokens that API clients send instead of a key, before any other authentication. What looks
 * like a token is never treated as a key. Returns a function that returns the current sender of a request.
 */
export function tokenLogins(
  app: FastifyInstance,
  keys: Keys,
  provider: () => Promise<Provider>,
): (request: FastifyRequest) => KeyLookup | RouterError | undefined {
  const { oidcAudience, oidcClientId, oidcClientClaim: claim } = app.config
  const audience = oidcAudience === '' ? oidcClientId : oidcAudience
  const checked = new WeakMap<FastifyRequest, Checked>()
  app.addHook('onRequest', async (request) => {
    const key = presentedKey(request.headers)
    if (key === undefined || !looksLikeToken(key)) return
    checked.set(request, await check(key))
  })
  const check = async (token: string): Promise<Checked> => {
    try {
      const claims = await (await provider()).verify(token, audience)
      const client = claimOf(claims, claim)
      if (typeof client !== 'string') return { error: 'unknown' }
      return { client, endsAt: ((claims.exp ?? 0) + clockToleranceSeconds) * 1000 }
    } catch (error) {
      if (error instanceof RouterError) return error
      return { error: error instanceof errors.JWTExpired ? 'expired' : 'unknown' }
    }
  }
  return (request) => {
    const result = checked.get(request)
    if (result === undefined || result instanceof RouterError) return result
    if ('error' in result) return { client: undefined, error: result.error }
    const client = keys.clients().find(({ id }) => id === result.client)
    if (!client) return { client, error: 'unknown' }
    if (!client.enabled) return { client, error: 'disabled' }
    const endsAt = Math.min(result.endsAt, client.expiresAt ?? Number.POSITIVE_INFINITY)
    return endsAt <= Date.now() ? { client, error: 'expired' } : { client, error: undefined }
  }
}

/** JWS and JWE, compact (RFC 7515 and 7516): the first part is an object in base64url. */
function looksLikeToken(key: string): boolean {
  return /^eyJ[\w-]*(?:\.[\w-]*){2,4}$/.test(key)
}
