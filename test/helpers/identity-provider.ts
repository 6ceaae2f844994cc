import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type JWTPayload, SignJWT } from 'jose'
import Provider from 'oidc-provider'

export interface IdentityProvider {
  readonly issuer: string
  /** Signs with the provider's current key, or with the given one. */
  sign(claims: JWTPayload, header?: Record<string, unknown>, key?: KeyObject | Uint8Array): Promise<string>
  /** A token that the provider itself issues to a client for its credentials. */
  clientToken(): Promise<string>
  /** The current public key. */
  publicKey(): KeyObject
  /** Replaces the key; the former one is no longer published. */
  rotate(): void
  /** Changes the ID tokens of the code flow in transit. */
  tamper(change: ((claims: JWTPayload) => Promise<string>) | undefined): void
  /** Answers the requests to a path in place of the provider. */
  fail(path: string, answer: RequestListener | undefined): void
  /** The person who signs in. */
  account: { sub: string; groups: unknown }
  close(): Promise<void>
}

export const clientId = 'llm-router'
export const clientSecret = 'secret-of-the-router-at-the-provider'
export const audience = 'https://llm.example.com'

/** A real provider (oidc-provider) on a free port, which signs everybody in and consents to everything without interaction. */
export async function startIdentityProvider(redirectUri: () => string): Promise<IdentityProvider> {
  let handler: RequestListener = () => undefined
  const server = createServer((request, response) => handler(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}` // it listens on a TCP port
  let pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  let kid = 'one'
  let change: ((claims: JWTPayload) => Promise<string>) | undefined
  const failing = new Map<string, RequestListener>()
  const account = { sub: 'ada', groups: ['llm-admins'] as unknown }
  const start = (): void => {
    const provider = providerOf(
      issuer,
      { ...pair.privateKey.export({ format: 'jwk' }), kid },
      redirectUri,
      account,
    )
    const answer = provider.callback()
    handler = (request, response) => {
      const failure = failing.get(request.url ?? '')
      if (failure) return failure(request, response)
      if (request.url?.startsWith('/interaction/')) {
        void provider.interactionFinished(request, response, { login: { accountId: account.sub } })
        return
      }
      if (request.url === '/token' && change) replaceIdToken(response, change)
      void answer(request, response)
    }
  }
  start()
  return {
    issuer,
    account,
    sign: (claims, header = {}, key = pair.privateKey) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid, ...header }).sign(key),
    async clientToken() {
      const basic = Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${basic}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: audience, scope: 'models' }),
      })
      return Object(await response.json()).access_token
    },
    publicKey: () => pair.publicKey,
    rotate() {
      pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
      kid = `${kid}-next`
      start()
    },
    tamper(next) {
      change = next
    },
    fail(path, answer) {
      if (answer) failing.set(path, answer)
      else failing.delete(path)
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function providerOf(
  issuer: string,
  key: object,
  redirectUri: () => string,
  account: IdentityProvider['account'],
): Provider {
  return new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [redirectUri()],
        grant_types: ['authorization_code', 'client_credentials'],
        response_types: ['code'],
      },
    ],
    jwks: { keys: [{ ...key, use: 'sig', alg: 'RS256' }] },
    cookies: { keys: ['secret-of-the-cookies-of-the-provider'] },
    pkce: { required: () => true },
    claims: { openid: ['sub'], profile: ['groups'], email: ['email'] },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: async () => ({ ...account, sub: id }),
    }),
    async loadExistingGrant(context) {
      const grant = new context.oidc.provider.Grant({
        clientId,
        accountId: context.oidc.session?.accountId ?? '',
      })
      grant.addOIDCScope('openid profile email')
      await grant.save()
      return grant
    },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'models', audience, accessTokenFormat: 'jwt' }),
      },
    },
  })
}

function replaceIdToken(response: ServerResponse, change: (claims: JWTPayload) => Promise<string>): void {
  const end = response.end.bind(response)
  response.end = (chunk?: unknown) => {
    const body = JSON.parse(String(chunk))
    const claims = JSON.parse(Buffer.from(body.id_token.split('.')[1], 'base64url').toString())
    void change(claims).then((token) => {
      const text = JSON.stringify({ ...body, id_token: token })
      response.setHeader('content-length', Buffer.byteLength(text))
      end(text)
    })
    return response
  }
}
