import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { after, beforeEach, describe, type TestContext, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { serverPair, testCa } from '../helpers/certificates/test-ca.ts'
import { eventually } from '../helpers/eventually.ts'
import { freePort } from '../helpers/http.ts'
import {
  audience,
  clientId,
  clientSecret,
  type IdentityProvider,
  startIdentityProvider,
} from '../helpers/identity-provider.ts'
import { bearer } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { openTeam, shareTeam, sqliteUrl, type TeamRouter } from './team-router.ts'

/** The address of a proxy in front of the router, as registered with the provider. */
const publicUrl = `http://127.0.0.1:${await freePort()}`
const provider = await startIdentityProvider(() => `${publicUrl}/api/session/oidc/callback`)
after(() => provider.close())
beforeEach(() => {
  provider.tamper(undefined)
  Object.assign(provider.account, { sub: 'ada', groups: ['llm-admins'] })
})

const settings = (): Record<string, string> => ({
  LLM_ROUTER_OIDC_ISSUER: provider.issuer,
  LLM_ROUTER_OIDC_CLIENT_ID: clientId,
  LLM_ROUTER_OIDC_CLIENT_SECRET: clientSecret,
  LLM_ROUTER_OIDC_ROLE_MAP: 'llm-admins=admin,llm-operators=operator,staff=viewer',
  LLM_ROUTER_PUBLIC_URL: publicUrl,
})

const trusting = { LLM_ROUTER_TRUSTED_PROXIES: '127.0.0.1' }

const open = (t: TestContext, env: Record<string, string>): Promise<TeamRouter> =>
  openTeam(t, sqliteUrl(t), { ...settings(), ...trusting, ...env })
const withoutClaim = shareTeam(sqliteUrl, () => ({ ...settings(), ...trusting }))

/** A browser with its cookies, by host. Requests to the public address go to the router's own. */
function browser(routerUrl: string) {
  const jars = new Map<string, Map<string, string>>()
  const go = async (address: string, init: RequestInit = {}): Promise<Response> => {
    const there = address.replace(publicUrl, routerUrl)
    const { host } = new URL(there)
    const jar = jars.get(host) ?? new Map<string, string>()
    jars.set(host, jar)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(there, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } })
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    return response
  }
  return {
    go,
    cookies: () => jars.get(new URL(routerUrl).host) ?? new Map<string, string>(),
    /** Follows the provider's redirects up to the one back to the router. */
    async leave(): Promise<string> {
      let address = (await go(`${routerUrl}/api/session/oidc`)).headers.get('location') ?? ''
      while (!address.startsWith(publicUrl)) {
        const response = await go(new URL(address, provider.issuer).href)
        address = response.headers.get('location') ?? assert.fail(await response.text())
      }
      return address
    },
    async signIn(): Promise<Response> {
      return go(await this.leave())
    },
  }
}

const me = async (person: ReturnType<typeof browser>, url: string) =>
  Object(await (await person.go(`${url}/api/session`)).json())

describe('signing in by OpenID Connect', () => {
  test('a person gets the highest role that the map assigns to a value of the claim', async () => {
    const { router } = withoutClaim
    const cases: [unknown, string | number][] = [
      [['llm-admins', 'staff'], 'admin'],
      [['staff', 'llm-operators', 'others'], 'operator'],
      ['staff', 'viewer'],
      [['others'], 403],
      [undefined, 403],
      [{ 'llm-admins': true }, 403],
    ]
    for (const [groups, expected] of cases) {
      provider.account.groups = groups
      const person = browser(router.url)
      const response = await person.signIn()
      if (typeof expected === 'number') assert.equal(response.status, expected)
      else {
        assert.equal(response.status, 200)
        assert.match(
          await response.text(),
          new RegExp(`http-equiv="refresh" content="0;url=${publicUrl}/ui"`),
        )
        assert.deepEqual((await me(person, router.url)).role, expected)
        assert.equal((await person.go(`${router.url}/ui`)).status, 200)
      }
    }
  })

  test("a person's changes are in the audit log under their name", async () => {
    const { router, admin } = withoutClaim
    const person = browser(router.url)
    await person.signIn()
    const created = await person.go(`${router.url}/api/admin/groups`, {
      method: 'POST',
      headers: { origin: router.url, 'content-type': 'application/json' },
      body: '{"id":"team"}',
    })
    assert.equal(created.status, 201)
    const [last] = (await admin('GET', '/audit')).body.data
    assert.deepEqual([last.actor, last.source], ['oidc:ada', 'console'])
  })

  test('the callback is accepted only once, in the browser that started, with the issued state', async () => {
    const { router } = withoutClaim
    const person = browser(router.url)
    const back = await person.leave()
    assert.equal((await browser(router.url).go(back)).status, 403)
    assert.equal((await person.go(back.replace(/state=[^&]+/, 'state=other'))).status, 403)
    assert.equal((await person.go(back)).status, 403, 'the sign-in attempt is used up')
    const second = await person.leave()
    const cookies = new Map(person.cookies())
    assert.equal((await person.go(second)).status, 200)
    for (const [name, value] of cookies) person.cookies().set(name, value)
    assert.equal((await person.go(second)).status, 403, 'the code is used up')
    assert.equal((await person.go(`${router.url}/api/session/oidc/callback?error=access_denied`)).status, 403)
  })

  test('an ID token with a wrong audience, issuer, time or signature is rejected', async () => {
    const { router } = withoutClaim
    const now = () => Math.floor(Date.now() / 1000)
    const outcome = async (change: Parameters<IdentityProvider['tamper']>[0]) => {
      provider.tamper(change)
      return (await browser(router.url).signIn()).status
    }
    const { sign } = provider
    const unsigned = (claims: object) => {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      return `${part({ alg: 'none' })}.${part(claims)}.`
    }
    const refused: Record<string, Parameters<IdentityProvider['tamper']>[0]> = {
      nonce: (claims) => sign({ ...claims, nonce: 'other' }),
      audience: (claims) => sign({ ...claims, aud: 'other' }),
      issuer: (claims) => sign({ ...claims, iss: 'https://evil.example' }),
      expired: (claims) => sign({ ...claims, iat: now() - 4_000, exp: now() - 90 }),
      none: async (claims) => unsigned(claims),
      'another key': async (claims) => {
        const token = await sign(claims)
        return `${token.slice(0, -8)}AAAAAAAA`
      },
    }
    for (const [name, change] of Object.entries(refused)) assert.equal(await outcome(change), 403, name)
    assert.equal(await outcome((claims) => sign({ ...claims, iat: now() - 4_000, exp: now() - 15 })), 200)
    assert.equal(await outcome((claims) => sign({ ...claims, iat: now() + 15 })), 200)
  })

  test('a key that the provider has rotated in is accepted', async () => {
    const { router } = withoutClaim
    assert.equal((await browser(router.url).signIn()).status, 200)
    provider.rotate()
    await eventually(async () => (await browser(router.url).signIn()).status === 200)
  })

  test('a session ends with the client that a claim names', async (t) => {
    const { router, admin, newKey } = await open(t, { LLM_ROUTER_OIDC_CLIENT_CLAIM: 'sub' })
    await newKey('ada')
    const person = browser(router.url)
    await person.signIn()
    assert.equal((await person.go(`${router.url}/ui`)).status, 200)
    await admin('PATCH', '/clients/ada', { enabled: false })
    assert.equal((await person.go(`${router.url}/ui`)).status, 401)
    assert.equal((await browser(router.url).signIn()).status, 403)
  })

  test('an unreachable provider is reported, and a router starts without it', async (t) => {
    const { router } = await open(t, { LLM_ROUTER_OIDC_ISSUER: `http://127.0.0.1:${await freePort()}` })
    const response = await fetch(`${router.url}/api/session/oidc`, { redirect: 'manual' })
    assert.deepEqual(
      [response.status, Object(await response.json()).code],
      [503, 'identity_provider_unavailable'],
    )
  })

  test('a provider that fails is reported as unavailable at each step, and signing in works once it is back', async (t) => {
    const failures: RequestListener[] = [
      (_request, response) => response.writeHead(500, json).end('{"error":"server_error"}'),
      (_request, response) => response.destroy(),
      endless,
    ]
    // Only the user info has the groups, so every endpoint is asked.
    for (const path of ['/.well-known/openid-configuration', '/jwks', '/token', '/me'])
      for (const [at, failure] of failures.entries()) {
        const { router } = await openTeam(t, sqliteUrl(t), { ...settings(), ...trusting })
        const person = browser(router.url)
        provider.fail(path, failure)
        const begun = await person.go(`${router.url}/api/session/oidc`)
        const response = begun.status === 302 ? await person.signIn() : begun
        assert.deepEqual([path, at, response.status], [path, at, 503])
        assert.equal(Object(await response.json()).code, 'identity_provider_unavailable')
        provider.fail(path, undefined)
        assert.equal((await person.signIn()).status, 200, path)
      }
  })

  test('metadata whose keys cannot be read is not kept', async (t) => {
    const path = '/.well-known/openid-configuration'
    const metadata = Object(await (await fetch(`${provider.issuer}${path}`)).json())
    const wrong = JSON.stringify({ ...metadata, jwks_uri: `${provider.issuer}/former-keys` })
    provider.fail(path, (_request, response) => response.writeHead(200, json).end(wrong))
    const { router } = await openTeam(t, sqliteUrl(t), { ...settings(), ...trusting })
    const person = browser(router.url)
    assert.equal((await person.go(`${router.url}/api/session/oidc`)).status, 503)
    provider.fail(path, undefined)
    assert.equal((await person.signIn()).status, 200)
  })

  test('keys are never read without TLS if the issuer uses it', async (t) => {
    const trusted = getCACertificates('default')
    setDefaultCACertificates([...trusted, testCa])
    t.after(() => setDefaultCACertificates(trusted))
    const secure = await startUpstream(
      () => ({
        kind: 'reply',
        body: {
          issuer: secure.url,
          authorization_endpoint: `${secure.url}/auth`,
          jwks_uri: `${provider.issuer}/jwks`,
        },
      }),
      { tls: serverPair },
    )
    t.after(() => secure.close())
    const { router } = await openTeam(t, sqliteUrl(t), { ...settings(), LLM_ROUTER_OIDC_ISSUER: secure.url })
    const response = await fetch(`${router.url}/api/session/oidc`, { redirect: 'manual' })
    assert.equal(response.status, 503)
    await router.logged(({ error_cause }) => error_cause === 'ADDRESS_WITHOUT_TLS')
  })

  test('the sign-in page links to the provider', async () => {
    const { router } = withoutClaim
    const page = await (await fetch(`${router.url}/ui`, { headers: { accept: 'text/html' } })).text()
    const [, link = ''] = /href="([^"]+oidc)"/.exec(page) ?? []
    const { status } = await fetch(new URL(link, `${router.url}/ui`), { redirect: 'manual' })
    assert.equal(status, 302)
  })

  test('contradictory settings prevent startup', async () => {
    for (const [env, expected] of [
      [{ LLM_ROUTER_OIDC_CLIENT_ID: '' }, /OIDC_CLIENT_ID must be set/],
      [{ LLM_ROUTER_PUBLIC_URL: '' }, /PUBLIC_URL must be set/],
      [{ LLM_ROUTER_OIDC_ROLE_MAP: '' }, /OIDC_ROLE_MAP must be set/],
      [{ LLM_ROUTER_OIDC_ROLE_MAP: 'x=root' }, /OIDC_ROLE_MAP/],
      [{ LLM_ROUTER_OIDC_ISSUER: 'http://idp.example.com' }, /OIDC_ISSUER/],
      [{ LLM_ROUTER_REDIS_HOST: '127.0.0.1' }, /SESSION_SECRET must be set/],
      [{ LLM_ROUTER_OIDC_CLIENT_CLAIM: 'sub' }, /OIDC_CLIENT_CLAIM has no effect/],
    ] as const)
      await assert.rejects(
        startRouter({ models: modelsConfig({}), env: { ...settings(), ...env } }),
        expected,
        JSON.stringify(env),
      )
  })
})

describe('JSON Web Tokens of API clients', () => {
  const apiSettings = { LLM_ROUTER_OIDC_CLIENT_CLAIM: 'client_id', LLM_ROUTER_OIDC_AUDIENCE: audience }
  const team = shareTeam(sqliteUrl, () => ({ ...settings(), ...trusting, ...apiSettings }))
  const now = (): number => Math.floor(Date.now() / 1000)
  /** Each test has its own client. */
  const claims = (client: string) => ({
    iss: provider.issuer,
    aud: audience,
    sub: clientId,
    client_id: client,
    iat: now(),
    exp: now() + 60,
  })

  test("a provider's token authenticates the client that it names, with that client's permissions", async () => {
    const { admin, newKey, chat, router } = team
    const token = await provider.clientToken()
    assert.equal((await chat(token)).status, 401)
    await newKey(clientId, { models: ['small'] })
    assert.deepEqual([(await chat(token)).status, (await chat(token, 'large')).status], [200, 404])
    await router.logged(({ client, model }) => client === clientId && model === 'small')
    await admin('PATCH', `/clients/${clientId}`, { enabled: false })
    assert.equal((await chat(token)).status, 401)
    assert.ok(!JSON.stringify(router.logs).includes(token.slice(-20)))
  })

  test("only the issuer's signature is accepted, for this audience and within the validity period", async () => {
    const { newKey, router } = team
    await newKey('signed')
    const { sign } = provider
    let address = 0
    // Each from its own address, so that failed attempts do not throttle the others.
    const status = async (token: string | Promise<string>) => {
      const from = { 'x-forwarded-for': `192.0.2.${++address}` }
      return (await fetch(`${router.url}/v1/models`, { headers: { ...bearer(await token), ...from } })).status
    }
    assert.equal(await status(sign(claims('signed'))), 200)
    const publicKey = provider.publicKey().export({ type: 'spki', format: 'pem' })
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const shared = createSecretKey(Buffer.from(publicKey))
    const { exp: _exp, ...endless } = claims('signed')
    const refused: Record<string, string | Promise<string>> = {
      'alg none': `${part({ alg: 'none' })}.${part(claims('signed'))}.`,
      'alg None': `${part({ alg: 'None', kid: 'one' })}.${part(claims('signed'))}.`,
      'HS256 with the public key': sign(claims('signed'), { alg: 'HS256' }, shared),
      'HS256 with the public key, without kid': sign(
        claims('signed'),
        { alg: 'HS256', kid: undefined },
        shared,
      ),
      'unknown kid': sign(claims('signed'), { kid: 'unknown' }),
      'kid as a path': sign(claims('signed'), { kid: '../../dev/null' }),
      'own key in the header': sign(claims('signed'), { jku: 'https://evil.example/jwks', kid: 'evil' }),
      audience: sign({ ...claims('signed'), aud: clientId }),
      'no audience': sign({ ...claims('signed'), aud: '' }),
      issuer: sign({ ...claims('signed'), iss: `${provider.issuer}/` }),
      expired: sign({ ...claims('signed'), exp: now() - 60 }),
      'not yet': sign({ ...claims('signed'), nbf: now() + 60 }),
      endless: sign(endless),
      'no client': sign({ ...claims('signed'), client_id: '' }),
      'a list': sign({ ...claims('signed'), client_id: ['signed'] }),
      'the admin key': sign({ ...claims('signed'), client_id: 'admin-key' }),
      'a changed claim': sign(claims('signed')).then((token) => {
        const [head, , signature] = token.split('.')
        return `${head}.${part({ ...claims('signed'), exp: now() + 600 })}.${signature}`
      }),
    }
    for (const [name, token] of Object.entries(refused)) assert.equal(await status(token), 401, name)
  })

  test('a clock skew of 30 seconds is tolerated', async () => {
    const { newKey, chat } = team
    await newKey('clocked')
    const status = async (change: object) =>
      (await chat(await provider.sign({ ...claims('clocked'), ...change }))).status
    assert.equal(await status({ exp: now() - 15 }), 200)
    assert.equal(await status({ nbf: now() + 15, iat: now() + 15 }), 200)
    assert.equal(await status({ exp: now() - 45 }), 401)
    assert.equal(await status({ nbf: now() + 45 }), 401)
  })

  test('after a key rotation tokens of the new key are accepted, and those of the old one are not', async () => {
    const { newKey, chat } = team
    await newKey('rotated')
    const old = await provider.sign(claims('rotated'))
    assert.equal((await chat(old)).status, 200)
    provider.rotate()
    await eventually(async () => (await chat(await provider.sign(claims('rotated')))).status === 200)
    assert.equal((await chat(old)).status, 401)
  })

  test('a token is never tried as a key, and a key or session is never tried in its place', async () => {
    const { newKey, chat, router } = team
    const key = await newKey('both')
    const response = await fetch(`${router.url}/v1/models`, {
      headers: { ...bearer(await provider.sign({ ...claims('both'), aud: 'other' })), 'x-api-key': key },
    })
    assert.equal(response.status, 401)
    assert.equal((await chat(key)).status, 200)
  })

  test('without a configured claim, tokens are unknown keys', async () => {
    const { newKey, chat } = withoutClaim
    await newKey('unnamed')
    assert.equal((await chat(await provider.sign({ ...claims('unnamed'), aud: clientId }))).status, 401)
  })
})

const json = { 'content-type': 'application/json' }

/** A response without an end. */
const endless: RequestListener = (_request, response) => {
  response.writeHead(200, json)
  const chunk = Buffer.alloc(65_536, ' ')
  const write = (): void => {
    while (!response.destroyed && response.write(chunk));
    response.once('drain', write)
  }
  write()
}
