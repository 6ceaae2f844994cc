import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { KeyLookup } from '../../../config/client-keys/key-ring.ts'
import type { RouterError } from '../../../sdk/errors.ts'
import type { Keys } from '../keys-file.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { OidcSignIn } from './sign-in.ts'

interface OpenIdConnect {
  oidc: OidcSignIn | undefined
  /** The sender of a request's JSON Web Token; undefined if it has none. */
  tokenLogin(request: FastifyRequest): KeyLookup | RouterError | undefined
}

/** Loads nothing without LLM_ROUTER_OIDC_ISSUER. `keys`: the clients that tokens can name. */
export async function openIdConnect(
  app: FastifyInstance,
  { sessions, keys }: { sessions: Sessions; keys: Keys },
): Promise<OpenIdConnect> {
  const { config } = app
  if (config.oidcIssuer === '') return { oidc: undefined, tokenLogin: () => undefined }
  const { lazyProvider } = await import('./provider.ts')
  const { oidcSignIn } = await import('./sign-in.ts')
  const provider = lazyProvider(config)
  const oidc = oidcSignIn(config, sessions.secret, provider, keys)
  if (config.oidcClientClaim === '') return { oidc, tokenLogin: () => undefined }
  const { tokenLogins } = await import('./tokens.ts')
  return { oidc, tokenLogin: tokenLogins(app, keys, provider) }
}
