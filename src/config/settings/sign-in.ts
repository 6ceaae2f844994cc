import type { Config } from './schema.ts'

type SignInSettings = Pick<
  Config,
  | 'databaseUrl'
  | 'redisUrl'
  | 'redisHost'
  | 'sessionSecret'
  | 'publicUrl'
  | 'oidcIssuer'
  | 'oidcClientId'
  | 'oidcRoleMap'
  | 'oidcClientClaim'
  | 'authEnabled'
>

/** Whether other hosts may share this configuration, which shared stores indicate. */
export function hasSeveralHosts({
  databaseUrl,
  redisUrl,
  redisHost,
}: Pick<Config, 'databaseUrl' | 'redisUrl' | 'redisHost'>): boolean {
  return redisUrl !== '' || redisHost !== '' || databaseUrl.startsWith('postgres')
}

/**
 * Returns the role that the console requires if sign-in is possible, with the operator key or OpenID Connect. Otherwise its
 * pages are as accessible as the status: to operators if client keys are required, else to everyone.
 */
export function consoleRole({ adminKey, oidcIssuer }: Pick<Config, 'adminKey' | 'oidcIssuer'>): {
  role?: 'viewer'
} {
  return adminKey !== '' || oidcIssuer !== '' ? { role: 'viewer' } : {}
}

/** Returns errors for a sign-in that cannot work, so that they are found at startup rather than by users. */
export function signInErrors(config: SignInSettings): string[] {
  const { oidcIssuer, sessionSecret, databaseUrl } = config
  const errors: string[] = []
  if (sessionSecret === '' && hasSeveralHosts(config) && (oidcIssuer !== '' || databaseUrl !== ''))
    errors.push(
      'LLM_ROUTER_SESSION_SECRET must be set with Redis or PostgreSQL: without a common secret, sessions of one host are invalid on the others; generate one with openssl rand -hex 32',
    )
  if (oidcIssuer === '') {
    if (config.oidcClientClaim !== '')
      errors.push('LLM_ROUTER_OIDC_CLIENT_CLAIM has no effect without LLM_ROUTER_OIDC_ISSUER')
    return errors
  }
  if (config.oidcClientId === '')
    errors.push('LLM_ROUTER_OIDC_CLIENT_ID must be set with LLM_ROUTER_OIDC_ISSUER')
  if (config.publicUrl === '')
    errors.push(
      'LLM_ROUTER_PUBLIC_URL must be set with LLM_ROUTER_OIDC_ISSUER: the provider sends browsers back to it',
    )
  if (config.oidcRoleMap.length === 0)
    errors.push(
      'LLM_ROUTER_OIDC_ROLE_MAP must be set with LLM_ROUTER_OIDC_ISSUER, such as llm-admins=admin: without it, nobody gets a role',
    )
  if (config.oidcClientClaim !== '' && !config.authEnabled)
    errors.push(
      'LLM_ROUTER_OIDC_CLIENT_CLAIM has no effect without LLM_ROUTER_AUTH_ENABLED=1: requests would NOT be authenticated',
    )
  return errors
}
