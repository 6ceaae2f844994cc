import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { adminKey, openTeam, shareTeam, sqliteUrl, type TeamRouter } from './team-router.ts'

const html = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

const hosts = () => ({ LLM_ROUTER_SESSION_SECRET: 'the-same-secret-on-all-hosts-0123456789' })
/** Two hosts with one database and one secret. */
const one = shareTeam(sqliteUrl, hosts)
const two = shareTeam(() => one.url, hosts)
/** Another host, behind a proxy that it trusts. */
const elsewhere = shareTeam(sqliteUrl, () => ({ LLM_ROUTER_TRUSTED_PROXIES: '127.0.0.1' }))

/** The cookie that a sign-in sets, as a browser sends it back. */
async function signIn(url: string, key: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(`${url}/api/session`, {
    method: 'POST',
    headers: { ...bearer(key), ...headers },
  })
  assert.equal(response.status, 200, await response.text())
  return cookieOf(response)
}

function cookieOf(response: Response): string {
  return (response.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
}

const statusOf = async (address: string, init: RequestInit = {}): Promise<number> => {
  const leaving = new AbortController()
  const { status } = await fetch(address, { ...init, signal: leaving.signal })
  leaving.abort()
  return status
}

test('a key is exchanged for a cookie that scripts, other sites and client endpoints cannot use', async () => {
  const { router, newKey } = one
  const key = await newKey('ada', { role: 'admin', surfaces: ['openai'] })
  const response = await fetch(`${router.url}/api/session`, { method: 'POST', headers: bearer(key) })
  const [set = ''] = response.headers.getSetCookie()
  assert.match(set, /^llm-router-session=[\w-]+; Path=\/; Max-Age=28[78]\d\d; HttpOnly; SameSite=Strict$/)
  const body = Object(await response.json())
  assert.deepEqual([body.client, body.role], ['ada', 'admin'])
  const cookie = cookieOf(response)
  const me = Object(await (await fetch(`${router.url}/api/session`, { headers: { cookie } })).json())
  assert.deepEqual(me, body)
  assert.ok(!JSON.stringify([router.logs, body]).includes(cookie.slice(20)))
  const chat = { model: 'small', messages }
  for (const path of ['/v1/chat/completions', '/api/chat', '/v1/messages'])
    assert.equal(
      await statusOf(router.url + path, {
        method: 'POST',
        headers: { cookie, origin: router.url, 'content-type': 'application/json' },
        body: JSON.stringify({ ...chat, max_tokens: 5 }),
      }),
      401,
      path,
    )
  for (const path of ['/v1/models', '/api/tags', '/unknown'])
    assert.equal(await statusOf(router.url + path, { headers: { cookie } }), 401, path)
  for (const path of [
    '/ui',
    '/api/status',
    '/api/admin/clients',
    '/docs',
    '/docs/scalar.js',
    '/openapi.json',
  ])
    assert.equal(await statusOf(router.url + path, { headers: { cookie } }), 200, path)
})

test('the cookie is a __Host- cookie only if a trusted proxy reports https', async () => {
  const { router } = elsewhere
  const https = { 'x-forwarded-proto': 'https' }
  const response = await fetch(`${router.url}/api/session`, {
    method: 'POST',
    headers: { ...bearer(adminKey), ...https },
  })
  assert.match(response.headers.getSetCookie()[0] ?? '', /^__Host-llm-router-session=.*; Path=\/.*; Secure$/)
  const cookie = cookieOf(response)
  const session = `${router.url}/api/session`
  assert.equal(await statusOf(session, { headers: { cookie, ...https } }), 200)
  assert.equal(await statusOf(session, { headers: { cookie } }), 401)
  assert.equal(await statusOf(session, { headers: { cookie: cookie.replace('__Host-', ''), ...https } }), 401)
  const own = router.url.replace('http:', 'https:')
  const post = (origin: string) =>
    statusOf(session, { method: 'DELETE', headers: { cookie, origin, ...https } })
  assert.deepEqual([await post(router.url), await post(own)], [403, 204])
  assert.match(
    (
      await fetch(`${one.router.url}/api/session`, {
        method: 'POST',
        headers: { ...bearer(adminKey), ...https },
      })
    ).headers.getSetCookie()[0] ?? '',
    /^llm-router-session=/,
  )
})

test('changes and events are rejected unless they come from a page of this router', async () => {
  const { router } = one
  const cookie = await signIn(router.url, adminKey)
  let made = 0
  const create = (headers: Record<string, string>) =>
    statusOf(`${router.url}/api/admin/groups`, {
      method: 'POST',
      headers: { cookie, 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ id: `group-${made++}` }),
    })
  const foreign = ['https://evil.example', 'null', `${router.url}.evil.example`, `${router.url}0`, '']
  for (const origin of foreign) assert.equal(await create({ origin }), 403, origin)
  assert.equal(await create({}), 403)
  assert.equal(await create({ 'sec-fetch-site': 'same-origin', referer: `${router.url}/ui` }), 403)
  assert.equal(await create({ origin: router.url }), 201)
  const events = (headers: Record<string, string>) =>
    statusOf(`${router.url}/api/status/events`, { headers: { cookie, ...headers } })
  for (const origin of foreign) assert.equal(await events({ origin }), 403, origin)
  assert.equal(await events({}), 403)
  assert.equal(await events({ 'sec-fetch-site': 'cross-site', referer: `${router.url}/ui` }), 403)
  assert.equal(await events({ referer: 'https://evil.example/' }), 403)
  for (const headers of [
    { origin: router.url },
    { 'sec-fetch-site': 'same-origin' },
    { referer: `${router.url}/ui` },
  ])
    assert.equal(await events(headers), 200, JSON.stringify(headers))
  const [last] = Object(
    await (await fetch(`${router.url}/api/admin/audit`, { headers: { cookie } })).json(),
  ).data
  assert.deepEqual([last.actor, last.source, last.entity_id], ['admin-key', 'console', `group-${made - 1}`])
})

const endings: [string, (team: TeamRouter, id: string, client: string) => Promise<unknown>][] = [
  ['its key is revoked', ({ admin }, id) => admin('POST', `/keys/${id}/revoke`)],
  [
    'its key is rotated without overlap',
    ({ admin }, id) => admin('POST', `/keys/${id}/rotate`, { overlap_seconds: 0 }),
  ],
  [
    'its client is disabled',
    ({ admin }, _id, client) => admin('PATCH', `/clients/${client}`, { enabled: false }),
  ],
  [
    'its client expires',
    ({ admin }, _id, client) => admin('PATCH', `/clients/${client}`, { expires_at: '2020-01-01T00:00:00Z' }),
  ],
  ['its client is removed', ({ admin }, _id, client) => admin('DELETE', `/clients/${client}`)],
]
for (const [index, [name, end]] of endings.entries())
  test(`a session ends within two seconds, with its live events, on every host, when ${name}`, async () => {
    const client = `ending-${index}`
    const key = await one.newKey(client, { role: 'operator' })
    const [{ id }] = (await one.admin('GET', `/keys?client=${client}`)).body.data
    const cookie = await signIn(one.router.url, key)
    await eventually(async () => (await statusOf(`${two.router.url}/ui`, { headers: { cookie } })) === 200)
    const events = await fetch(`${two.router.url}/api/status/events`, {
      headers: { cookie, origin: two.router.url },
    })
    const since = performance.now()
    await end(one, id, client)
    assert.equal(await statusOf(`${one.router.url}/ui`, { headers: { cookie } }), 401)
    await events.text()
    await eventually(async () => (await statusOf(`${two.router.url}/ui`, { headers: { cookie } })) === 401)
    assert.ok(performance.now() - since < 10_000)
  })

test('a revoked role is also removed from the session', async () => {
  const { admin, newKey, router } = one
  const cookie = await signIn(router.url, await newKey('roland', { role: 'admin' }))
  const create = () =>
    statusOf(`${router.url}/api/admin/groups`, {
      method: 'POST',
      headers: { cookie, origin: router.url, 'content-type': 'application/json' },
      body: '{"id":"team"}',
    })
  await admin('PATCH', '/clients/roland', { role: 'viewer' })
  assert.equal(await create(), 403)
  await admin('PATCH', '/clients/roland', { role: null })
  assert.equal(await statusOf(`${router.url}/ui`, { headers: { cookie } }), 403)
})

test('signing out ends the session on every host, including copies of the cookie', async () => {
  const cookie = await signIn(one.router.url, adminKey)
  const session = (team: TeamRouter, init: RequestInit = {}) =>
    fetch(`${team.router.url}/api/session`, { ...init, headers: { cookie, origin: team.router.url } })
  const out = await session(one, { method: 'DELETE' })
  assert.equal(out.status, 204)
  assert.match(out.headers.getSetCookie()[0] ?? '', /^llm-router-session=; Path=\/; Max-Age=0;/)
  assert.equal((await session(one)).status, 401)
  await eventually(async () => (await session(two)).status === 401)
})

test('each sign-in creates a new session, and a forged or modified one is rejected', async () => {
  const { router } = one
  const cookie = await signIn(router.url, adminKey)
  const again = await signIn(router.url, adminKey, { cookie })
  assert.notEqual(again, cookie)
  const ask = (value: string) => statusOf(`${router.url}/api/session`, { headers: { cookie: value } })
  assert.equal(await ask(await signIn(elsewhere.router.url, adminKey)), 401)
  const [name = '', value = ''] = cookie.split('=')
  for (let at = 0; at < value.length; at += 7) {
    const letter = value[at] === 'A' ? 'B' : 'A'
    assert.equal(await ask(`${name}=${value.slice(0, at)}${letter}${value.slice(at + 1)}`), 401, String(at))
  }
  for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
    if (!value.endsWith(letter))
      assert.equal(await ask(`${name}=${value.slice(0, -1)}${letter}`), 401, `ends with ${letter}`)
  for (const wrong of ['', 'x', value.slice(0, -4), 'eyJhbGciOiJub25lIn0.e30.'])
    assert.equal(await ask(`${name}=${wrong}`), 401, wrong)
  assert.equal(await ask(`${cookie}; ${again}`), 401)
  assert.equal(await ask(cookie), 200)
})

test('a session does not extend itself, and a key without a role gets none', async () => {
  const { router, newKey } = one
  const cookie = await signIn(router.url, adminKey)
  const renew = { method: 'POST', headers: { cookie, origin: router.url } }
  assert.equal(await statusOf(`${router.url}/api/session`, renew), 403)
  const sign = async (key: string) =>
    statusOf(`${router.url}/api/session`, { method: 'POST', headers: bearer(key) })
  assert.deepEqual([await sign(await newKey('carol')), await sign('sk-wrong-0123456789')], [403, 401])
  assert.equal(await statusOf(`${router.url}/api/session`, { method: 'POST' }), 401)
})

test('a browser is redirected to the sign-in page, and a program gets the error', async () => {
  const { router } = one
  const page = await fetch(`${router.url}/ui`, { headers: html })
  assert.equal(page.status, 401)
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/)
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'; script-src 'self'/)
  const text = await page.text()
  const links = [...text.matchAll(/(?:src|href)="([^"]+(?:css|js|svg))"/g)].map(([, link = '']) => link)
  assert.equal(links.length, 3)
  for (const path of ['/ui', '/ui/', '/api/status', '/api/admin/clients?x=1']) {
    const there = await fetch(router.url + path, { headers: html })
    for (const [, link = ''] of (await there.text()).matchAll(/(?:src|href)="([^"]+(?:css|js|svg))"/g))
      assert.equal(await statusOf(String(new URL(link, router.url + path))), 200, `${path} ${link}`)
  }
  assert.equal(await statusOf(`${router.url}/ui/fleet`), 401)
  for (const headers of [
    {},
    { accept: '*/*' },
    { accept: 'application/json' },
    { accept: 'text/html;q=0' },
  ]) {
    const { status, headers: sent } = await fetch(`${router.url}/ui`, { headers })
    assert.equal(status, 401)
    assert.match(sent.get('content-type') ?? '', /^application\/json/, JSON.stringify(headers))
  }
  const models = await fetch(`${router.url}/v1/models`, { headers: html })
  assert.match(models.headers.get('content-type') ?? '', /json/)
})

test('sessions work with keys of the file, and end when the file changes', async (t) => {
  const record = { id: 'ops', key: 'sk-of-the-file-ops-0123456789', surfaces: ['operator'] }
  const file = keysFile([record])
  t.after(() => file.remove())
  const { router } = await openTeam(t, '', file.env)
  const cookie = await signIn(router.url, record.key)
  assert.equal(await statusOf(`${router.url}/ui`, { headers: { cookie } }), 200)
  file.write([{ ...record, key: 'sk-another-one-0123456789' }])
  await router.app.reload.now()
  assert.equal(await statusOf(`${router.url}/ui`, { headers: { cookie } }), 401)
})

test('a database shared by several hosts requires the session secret', async (t) => {
  const env = { LLM_ROUTER_SESSION_SECRET: '' }
  await assert.rejects(openTeam(t, 'postgres://127.0.0.1:1/x', env), /LLM_ROUTER_SESSION_SECRET must be set/)
  await assert.rejects(
    openTeam(t, sqliteUrl(t), { ...env, LLM_ROUTER_REDIS_HOST: '127.0.0.1' }),
    /LLM_ROUTER_SESSION_SECRET must be set/,
  )
  await assert.rejects(openTeam(t, sqliteUrl(t), { LLM_ROUTER_SESSION_SECRET: 'short' }), /32 visible/)
})
