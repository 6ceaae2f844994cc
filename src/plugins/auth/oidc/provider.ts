import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import type { Config } from '../../../config/settings/settings.ts'
import { RouterError } from '../../../sdk/errors.ts'

/** Accepted clock difference in seconds. */
export const clockToleranceSeconds = 30
/** Maximum delay until a new key of the provider is known, in milliseconds. */
const keysCooldownMs = 2_000
const timeoutSeconds = 10
/** Asymmetric algorithms only: with a shared-secret algorithm, a public key could be used as the secret. */
const algorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]

export interface Provider {
  configuration: oidc.Configuration
  /** Checks signature, algorithm, issuer, audience and times. Rejects with an error of jose, or RouterError. */
  verify(token: string, audience: string): Promise<JWTPayload>
}

/** Discovers the provider on the first request that needs it, so the router starts without it. */
export function lazyProvider(config: Config): () => Promise<Provider> {
  let known: Promise<Provider> | undefined
  return () => {
    known ??= discover(config).catch((cause: unknown) => {
      known = undefined
      throw unavailable(cause)
    })
    return known
  }
}

async function discover({ oidcIssuer, oidcClientId, oidcClientSecret }: Config): Promise<Provider> {
  const issuer = new URL(oidcIssuer)
  const configuration = await oidc.discovery(
    issuer,
    oidcClientId,
    { [oidc.clockTolerance]: clockToleranceSeconds },
    oidcClientSecret === '' ? oidc.None() : oidc.ClientSecretBasic(oidcClientSecret),
    // Loopback only, as the setting enforces.
    {
      timeout: timeoutSeconds,
      ...(issuer.protocol === 'http:' ? { execute: [oidc.allowInsecureRequests] } : {}),
    },
  )
  const { jwks_uri: address, issuer: name } = configuration.serverMetadata()
  if (address === undefined) throw new Error('the provider names no keys')
  const keys = createRemoteJWKSet(new URL(address), {
    cooldownDuration: keysCooldownMs,
    timeoutDuration: timeoutSeconds * 1000,
  })
  return {
    configuration,
    async verify(token, audience) {
      const options = {
        issuer: name,
        audience,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        requiredClaims: ['exp', 'sub'],
      }
      try {
        return (await jwtVerify(token, keys, options)).payload
      } catch (error) {
        throw isAboutToken(error) ? error : unavailable(error)
      }
    },
  }
}

/** Required to fetch the provider's keys. */
function isAboutToken(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout) &&
    !(error instanceof errors.JWKSInvalid) &&
    error.code !== 'ERR_JOSE_GENERIC'
  )
}

export function unavailable(cause: unknown): RouterError {
  const { code } = Object(cause)
  return new RouterError('overloaded', 'The identity provider is not available', {
    code: 'identity_provider_unavailable',
    retryAfterSeconds: 5,
    cause,
    ...(typeof code === 'string' ? { causeCode: code } : {}),
  })
}
