import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { sqliteUrl } from '../teams/team-router.ts'
import { openEvents } from './event-reader.ts'
import { operator, operatorKey } from './fleet.ts'

const models = modelsConfig({ one: [{ id: 'a', api_type: 'mock' }] })
const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }

const get = (address: string, headers: Record<string, string> = browser) =>
  fetch(address, { headers, redirect: 'manual' })

test('the root redirects browsers to the console, and returns "Ollama is running" to programs', async (t) => {
  const router = await startRouter({ models, env: { LLM_ROUTER_BASE_PATH: '/llm' } })
  t.after(() => router.close())
  for (const [path, location] of [
    ['/', 'ui'],
    ['/llm/', 'ui'],
    ['/llm', 'llm/ui'],
  ] as const) {
    const answer = await get(router.url + path)
    assert.deepEqual([answer.status, answer.headers.get('location')], [302, location], path)
    assert.equal(answer.headers.get('vary'), 'accept')
    const page = await fetch(router.url + path, { headers: browser })
    assert.match(page.headers.get('content-type') ?? '', /^text\/html/)
    const program = await get(router.url + path, { accept: '*/*' })
    assert.equal(await program.text(), 'Ollama is running')
  }
})

test('with an admin port, the root redirects to the console on that port only', async (t) => {
  const port = await freePort()
  const router = await startRouter({
    models,
    env: { LLM_ROUTER_ADMIN_PORT: String(port), LLM_ROUTER_SERVER_HOST: '127.0.0.1' },
  })
  t.after(() => router.close())
  assert.equal(await (await get(router.url)).text(), 'Ollama is running')
  const admin = `http://127.0.0.1:${port}`
  assert.equal((await get(`${admin}/`)).headers.get('location'), 'ui')
  assert.equal((await get(`${admin}/ui`)).status, 200)
  for (const path of ['history', 'problems', 'requests', 'settings', 'catalogue', 'routers'])
    assert.equal((await get(`${admin}/api/${path}`, {})).status, 200, path)
})

test('for an unknown address a browser gets a page, and a program a JSON error', async (t) => {
  const router = await startRouter({ models })
  t.after(() => router.close())
  const page = await get(`${router.url}/nothing/here`)
  assert.deepEqual([page.status, page.headers.get('content-type')], [404, 'text/html; charset=utf-8'])
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/)
  assert.match(await page.text(), /<a [^>]*href="\.\.\/(?:api\/)?ui"/)
  const program = await get(`${router.url}/nothing/here`, { accept: '*/*' })
  assert.deepEqual(
    [program.status, program.headers.get('content-type')],
    [404, 'application/json; charset=utf-8'],
  )
})

test('a browser without a session must enter a key, and the session cookie then opens pages and events', async (t) => {
  const router = await startRouter({ models, env: { LLM_ROUTER_ADMIN_KEY: operatorKey } })
  t.after(() => router.close())
  for (const path of ['/ui', '/api/ui', '/ui/requests']) {
    const answer = await get(router.url + path)
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [401, 'text/html; charset=utf-8'])
    assert.match(await answer.text(), /type="password"/)
  }
  assert.equal((await get(router.url)).headers.get('location'), 'ui')
  const signIn = await fetch(`${router.url}/api/session`, { method: 'POST', headers: operator })
  const cookie = (signIn.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
  assert.equal((await get(`${router.url}/ui`, { ...browser, cookie })).status, 200)
  assert.equal((await get(`${router.url}/api/requests`, { cookie })).status, 200)
  const own = { cookie, 'sec-fetch-site': 'same-origin', referer: `${router.url}/ui` }
  const events = await openEvents(router.url, { headers: own })
  await events.next('status')
  await fetch(`${router.url}/api/session`, { method: 'DELETE', headers: { cookie, origin: router.url } })
  assert.deepEqual((await events.next('end')).data, { reason: 'session_ended' })
  await events.ended()
  // A page of another site is refused, although the browser sends the cookie with its requests.
  const other = await get(`${router.url}/api/events`, { cookie, 'sec-fetch-site': 'cross-site' })
  assert.ok(other.status === 403 || other.status === 401)
})

test('with client keys, the API documentation opens for a browser that is signed in', async (t) => {
  const env = {
    LLM_ROUTER_ADMIN_KEY: operatorKey,
    LLM_ROUTER_AUTH_ENABLED: '1',
    LLM_ROUTER_DATABASE_URL: sqliteUrl(t),
  }
  const router = await startRouter({ models, env })
  t.after(() => router.close())
  const asked = await get(`${router.url}/docs`)
  assert.deepEqual([asked.status, asked.headers.get('content-type')], [401, 'text/html; charset=utf-8'])
  assert.equal((await get(`${router.url}/docs`, { accept: '*/*' })).status, 401)
  const signIn = await fetch(`${router.url}/api/session`, { method: 'POST', headers: operator })
  const cookie = (signIn.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
  for (const path of ['/api/docs', '/docs', '/docs/start.js', '/docs/scalar.js', '/api/openapi.json'])
    assert.equal((await get(router.url + path, { cookie })).status, 200, path)
})

test('without keys the console is open, as the status is', async (t) => {
  const router = await startRouter({ models })
  t.after(() => router.close())
  assert.equal((await get(`${router.url}/ui`)).status, 200)
  assert.equal((await get(`${router.url}/api/requests`)).status, 200)
})
