import { Type } from '@sinclair/typebox'
import { choices, flag, oneOf, text } from './setting-types.ts'

/** Client keys, operator keys and sign-in. */
export const accessSettings = {
  authEnabled: flag(false, 'Requires client keys: [client-keys.md](client-keys.md).'),
  authKeyStore: oneOf(
    choices.authKeyStore,
    'memory',
    'Where keys are stored; only `memory` is supported; with LLM_ROUTER_AUTH_ENABLED, other values stop the start.',
  ),
  authKeysFile: text('', 'File with the client keys; reloaded when it changes.'),
  authPublicEndpoints: Type.Array(Type.String({ pattern: '^/' }), {
    default: ['/', '/ping', '/version', '/livez', '/readyz', '/healthz'],
    allowed: 'a list of paths, each beginning with a slash',
    description:
      'Paths that require no key, with and without prefix. `/livez`, `/readyz` and `/ping` never require one.',
  }),
  adminKey: Type.String({
    default: '',
    pattern: '^[!-~]*$',
    writeOnly: true,
    allowed: 'a key of visible ASCII characters without spaces',
    description:
      'The operator key, required by operator endpoints and, on every port, by requests that change the router. [client-keys.md](client-keys.md#operator-keys).',
  }),
  sessionSecret: Type.String({
    default: '',
    pattern: '^$|^[!-~]{32,}$',
    writeOnly: true,
    allowed: 'a random string of at least 32 visible ASCII characters',
    description:
      'Secret for session cookies, the same on all hosts; empty: a random one, so a restart ends all sessions. [security.md](security.md#sessions).',
  }),
  publicUrl: Type.String({
    default: '',
    pattern: '^$|^https?://[^/?#@\\s]+(?:/[^?#\\s]*[^/?#\\s])?$',
    allowed: 'an address like https://llm.example.com, without a trailing slash',
    description:
      'URL of the router for browsers, including the base path; required for OpenID Connect, and behind a proxy that terminates TLS without sending `X-Forwarded-Proto`.',
  }),
  oidcIssuer: Type.String({
    default: '',
    pattern:
      '^$|^https://[^\\s?#]+$|^http://(?:localhost|127\\.0\\.0\\.1|\\[::1\\])(?::[0-9]+)?(?:/[^\\s?#]*)?$',
    allowed: 'the https:// address of an OpenID Connect provider',
    description:
      'Issuer of the OpenID Connect provider with which operators sign in; empty disables it. [teams.md](teams.md#openid-connect).',
  }),
  oidcClientId: text('', 'Client id of the router at the OpenID Connect provider.'),
  oidcClientSecret: Type.String({
    default: '',
    writeOnly: true,
    description: 'Client secret of the router at the provider; empty: a public client.',
  }),
  oidcRoleClaim: text(
    'groups',
    'Claim with the groups or roles of a user; dots select nested fields: `realm_access.roles`.',
  ),
  oidcRoleMap: Type.Array(Type.String({ pattern: '^.+=(?:viewer|operator|admin)$' }), {
    default: [],
    allowed: 'a list like llm-admins=admin,llm-operators=operator,staff=viewer',
    description:
      'Maps values of that claim to roles, such as `llm-admins=admin,staff=viewer`; the highest role applies.',
  }),
  oidcAudience: text('', "Required audience of API clients' JSON Web Tokens; empty: the router's client id."),
  oidcClientClaim: text(
    '',
    'Claim of JSON Web Tokens that contains the client id, such as `azp`. API clients may then send tokens of the issuer instead of a key; empty disables it.',
  ),
}
