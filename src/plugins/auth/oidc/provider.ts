import { createRemoteJWKSet, customFetch, errors, type JWTPayload, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import type { Config } from '../../../config/settings/settings.ts'
import { responseText } from '../../../lib/bytes/response-text.ts'
import { RouterError } from '../../../sdk/errors.ts'

/** Accepted clock difference in seconds. */
export const clockToleranceSeconds = 30
/** Maximum delay until a new key of the provider is known, in milliseconds. */
const keysCooldownMs = 2_000
/** Time until the provider's metadata and keys are read again, in milliseconds. */
const maxAgeMs = 600_000
const timeoutSeconds = 10
/** Maximum size of a response: far larger than metadata, keys, and the claims of a person in thousands of groups. */
const maxResponseBytes = 4 * 1024 * 1024
/** Asymmetric algorithms only: with a shared-secret algorithm, a public key could be used as the secret. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

export interface Provider {
  configuration: oidc.Configuration
  /** Whether metadata and keys are recent enough. */
  isFresh(): boolean
  /** Checks signature, algorithm, issuer, audience and times. Rejects with an error of jose, or RouterError. */
  verify(token: string, audience: string): Promise<JWTPayload>
}

/**
 * Discovers the provider on the first request that needs it, so the router starts without it, and again when its metadata and
 * keys are no longer fresh. Rejects with a RouterError.
 */
export function lazyProvider(config: Config): () => Promise<Provider> {
  let known: Provider | undefined
  let pending: Promise<Provider> | undefined
  const read = async (): Promise<Provider> => {
    try {
      known = await discover(config)
      return known
    } catch (cause) {
      throw unavailable(cause)
    } finally {
      pending = undefined
    }
  }
  return async () => {
    if (known?.isFresh()) return known
    pending ??= read()
    return pending
  }
}

async function discover({ oidcIssuer, oidcClientId, oidcClientSecret }: Config): Promise<Provider> {
  const issuer = new URL(oidcIssuer)
  const ask = providerFetch(issuer)
  const configuration = await oidc.discovery(
    issuer,
    oidcClientId,
    { [oidc.clockTolerance]: clockToleranceSeconds },
    oidcClientSecret === '' ? oidc.None() : oidc.ClientSecretBasic(oidcClientSecret),
    // Loopback only, as the setting enforces.
    {
      timeout: timeoutSeconds,
      [oidc.customFetch]: ask,
      ...(issuer.protocol === 'http:' ? { execute: [oidc.allowInsecureRequests] } : {}),
    },
  )
  const { jwks_uri: address, issuer: name } = configuration.serverMetadata()
  if (address === undefined) throw new Error('the provider names no keys')
  const keys = createRemoteJWKSet(new URL(address), {
    cooldownDuration: keysCooldownMs,
    timeoutDuration: timeoutSeconds * 1000,
    cacheMaxAge: maxAgeMs,
    [customFetch]: ask,
  })
  // Metadata that names no usable keys is not kept, and nobody is sent to a provider whose answer could not be checked.
  await keys.reload()
  const discoveredAt = performance.now()
  return {
    configuration,
    isFresh: () => performance.now() - discoveredAt < maxAgeMs,
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

type ProviderRequest = Omit<RequestInit, 'body'> & { body?: oidc.FetchBody }

/**
 * `fetch` for all requests to the provider: with TLS like the issuer itself, and with a bounded response. Rejects with a
 * RouterError if the provider cannot answer.
 */
function providerFetch(issuer: URL) {
  return async (address: string, init: ProviderRequest): Promise<Response> => {
    try {
      if (issuer.protocol === 'https:' && !address.startsWith('https:'))
        throw Object.assign(new Error('the address has no TLS'), { code: 'ADDRESS_WITHOUT_TLS' })
      const response = await fetch(address, { ...init, body: init.body ?? null })
      const { status, headers } = response
      const text = await responseText(response, maxResponseBytes)
      if (status >= 500 || status === 429)
        throw Object.assign(new Error('the provider failed'), { code: `HTTP_${status}` })
      return new Response(text === '' ? null : text, { status, headers })
    } catch (cause) {
      throw unavailable(cause)
    }
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

/** The RouterError of `providerFetch`, which openid-client passes on as a cause. */
export function failureOfProvider(error: unknown): RouterError | undefined {
  return [error, Object(error).cause].find((each) => each instanceof RouterError)
}

function unavailable(cause: unknown): RouterError {
  const known = failureOfProvider(cause)
  if (known) return known
  // The reason of a failed fetch is its cause.
  const code = [cause, Object(cause).cause]
    .map((each) => Object(each).code)
    .find((each) => typeof each === 'string')
  return new RouterError('overloaded', 'The identity provider is not available', {
    code: 'identity_provider_unavailable',
    retryAfterSeconds: 5,
    cause,
    ...(code === undefined ? {} : { causeCode: code }),
  })
}
