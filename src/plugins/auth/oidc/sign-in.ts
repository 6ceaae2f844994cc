import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { FastifyReply, FastifyRequest } from 'fastify'
import * as oidc from 'openid-client'
import type { Config } from '../../../config/settings/settings.ts'
import { RouterError } from '../../../sdk/errors.ts'
import type { Keys } from '../keys-file.ts'
import { cookie } from '../sessions/cookies.ts'
import { isHttps } from '../sessions/origin.ts'
import { createSeal } from '../sessions/seal.ts'
import type { SignedIn } from '../sessions/sessions.ts'
import { claimOf, nameOfUser, roleOfClaim } from './claims.ts'
import { failureOfProvider, type Provider } from './provider.ts'

/** How long signing in at the provider may take, in milliseconds. */
const timeoutMs = 600_000

const AttemptSchema = Type.Object({
  state: Type.String(),
  nonce: Type.String(),
  verifier: Type.String(),
  endsAt: Type.Number(),
})
type Attempt = Static<typeof AttemptSchema>

export interface OidcSignIn {
  /** The provider's sign-in URL; a cookie stores the expected state and nonce. */
  begin(request: FastifyRequest, reply: FastifyReply): Promise<string>
  /** Handles the callback: returns the signed-in person. Throws RouterError. */
  finish(request: FastifyRequest, reply: FastifyReply): Promise<SignedIn>
}

/** Authorization code with PKCE (RFC 7636), state and nonce: OpenID Connect Core 1.0, section 3.1. */
export function oidcSignIn(
  config: Config,
  secret: string,
  provider: () => Promise<Provider>,
  keys: Keys,
): OidcSignIn {
  const sealed = createSeal(secret, 'sign-in')
  // Not Strict: the provider redirects the browser back here.
  const jar = cookie('llm-router-sign-in', 'Lax', (request) => isHttps(request, config.publicUrl))
  const callback = `${config.publicUrl}${config.endpointPrefix}/session/oidc/callback`
  return {
    async begin(request, reply) {
      const { configuration } = await provider()
      const attempt: Attempt = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        verifier: oidc.randomPKCECodeVerifier(),
        endsAt: Date.now() + timeoutMs,
      }
      jar.write(request, reply, sealed.seal(attempt), timeoutMs / 1000)
      return oidc.buildAuthorizationUrl(configuration, {
        redirect_uri: callback,
        scope: 'openid email profile',
        state: attempt.state,
        nonce: attempt.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(attempt.verifier),
        code_challenge_method: 'S256',
      }).href
    },
    async finish(request, reply) {
      const text = jar.read(request)
      const attempt = text === undefined ? undefined : sealed.open(text)
      jar.remove(request, reply)
      if (!Value.Check(AttemptSchema, attempt) || attempt.endsAt < Date.now()) throw notBegun()
      const address = new URL(callback)
      address.search = request.originalUrl.split('?').slice(1).join('?')
      const claims = await claimsOf(await provider(), address, { attempt, config })
      return userOf(claims, config, keys)
    },
  }
}

/** The claims of the ID token, after its signature was verified; from the user info endpoint if only that contains the role. */
async function claimsOf(
  { configuration, verify }: Provider,
  address: URL,
  { attempt: { state, nonce, verifier }, config }: { attempt: Attempt; config: Config },
): Promise<Readonly<Record<string, unknown>>> {
  const checks = {
    pkceCodeVerifier: verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  }
  try {
    const tokens = await oidc.authorizationCodeGrant(configuration, address, checks)
    const claims = await verify(tokens.id_token ?? '', config.oidcClientId)
    if (claimOf(claims, config.oidcRoleClaim) !== undefined) return claims
    const { userinfo_endpoint: hasInfo } = configuration.serverMetadata()
    if (hasInfo === undefined) return claims
    return {
      ...(await oidc.fetchUserInfo(configuration, tokens.access_token, String(claims.sub))),
      ...claims,
    }
  } catch (error) {
    const failure = failureOfProvider(error)
    if (failure) throw failure
    const { code } = Object(error)
    throw new RouterError('forbidden', 'The identity provider did not confirm the sign-in; try again', {
      code: 'sign_in_failed',
      cause: error,
      ...(typeof code === 'string' ? { causeCode: code } : {}),
    })
  }
}

function userOf(claims: Readonly<Record<string, unknown>>, config: Config, keys: Keys): SignedIn {
  const role = roleOfClaim(claimOf(claims, config.oidcRoleClaim), config.oidcRoleMap)
  if (role === undefined)
    throw new RouterError('forbidden', 'This account has no role in llm-router', { code: 'role_missing' })
  const id = nameOfUser(claims)
  const named = config.oidcClientClaim === '' ? undefined : claimOf(claims, config.oidcClientClaim)
  const client = keys.clients().find((each) => each.id === named)
  return { id, role, ...(client ? { client: client.id } : {}) }
}

function notBegun(): RouterError {
  return new RouterError(
    'forbidden',
    'This sign-in did not begin in this browser, or began too long ago; try again',
    {
      code: 'sign_in_failed',
    },
  )
}
