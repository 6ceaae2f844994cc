import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { request } from 'undici'
import { freePort } from '../helpers/http.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'

const extension = join(import.meta.dirname, '../fixtures/extensions/changing-routes.ts')
const adminKey = 'canary-admin-key-0123456789'
const operatorKey = 'canary-operator-key-0123456789'
const clientKey = 'canary-client-key-0123456789'

interface Route {
  method: string
  path: string
  security: Record<string, unknown>[] | undefined
}

/** Routes of the router itself, which do more than count: their effects have tests of their own. */
const isOwn = ({ path }: Pick<Route, 'path'>): boolean => /^\/api\/(?:admin\/|session|models\/)/.test(path)
/** These require the role admin. */
const isOfAdmins = ({ path }: Pick<Route, 'path'>): boolean => path.startsWith('/api/admin/')

/** Every route of the document that may change something. */
async function changingRoutes(router: TestRouter): Promise<Route[]> {
  const document = JSON.parse(router.app.apiDocs.openapi('.'))
  const routes = Object.entries<Record<string, { security?: Route['security'] }>>(document.paths).flatMap(
    ([path, operations]) =>
      Object.entries(operations).map(([method, { security }]) => {
        return { method: method.toUpperCase(), path: path.replaceAll(/\{\w+\}/g, 'x'), security }
      }),
  )
  return routes.filter(({ method }) => !['GET', 'HEAD'].includes(method))
}

const ofOperators = ({ security }: Route): boolean =>
  security?.some((each) => Object.keys(each).some((name) => name.startsWith('operator'))) ?? false

async function start(
  t: TestContext,
  env: Record<string, string> = {},
  keys?: readonly object[],
): Promise<TestRouter> {
  const file = keys && keysFile(keys)
  const router = await startRouter({
    env: { ...file?.env, LLM_ROUTER_EXTENSIONS: extension, LLM_ROUTER_TRUSTED_PROXIES: '127.0.0.1', ...env },
    models: modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] }),
  })
  t.after(async () => {
    await router.close()
    file?.remove()
  })
  return router
}

let addresses = 0
/** Each request comes from a different address, so that none is limited for the invalid keys of another. */
async function send(
  url: string,
  { method, path }: Pick<Route, 'method' | 'path'>,
  headers: Record<string, string> = {},
): Promise<{ status: number; error: Record<string, unknown> }> {
  const address = `192.0.${++addresses >> 8}.${addresses & 255}`
  const body = ['DELETE', 'GET'].includes(method) ? {} : { body: '{}' }
  // fetch() takes three times as long.
  const response = await request(url + path, {
    method,
    headers: { 'content-type': 'application/json', 'x-forwarded-for': address, ...headers },
    ...body,
  })
  const text = await response.body.text()
  const { error, ...rest } = Object(text === '' ? {} : JSON.parse(text))
  return {
    status: response.statusCode,
    error: { ...rest, ...(typeof error === 'string' ? { message: error } : Object(error)) },
  }
}

const clientRecords = [
  { id: 'client', key: clientKey },
  { id: 'operator', key: operatorKey, surfaces: ['operator'] },
]

for (const [name, env, records] of [
  ['without client keys', {}, undefined],
  ['with client keys', {}, clientRecords.slice(0, 1)],
  [
    'where all paths are public',
    { LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS: '/change/undeclared,/change/admin' },
    clientRecords.slice(0, 1),
  ],
] as [string, Record<string, string>, object[] | undefined][])
  test(`routes that change the router are rejected if no operator key is set: ${name}`, async (t) => {
    const router = await start(t, env, records)
    const routes = (await changingRoutes(router)).filter(ofOperators)
    assert.ok(routes.length >= 16)
    for (const route of routes)
      for (const headers of [bearer(clientKey), bearer(adminKey), bearer(''), {}]) {
        const { status, error } = await send(router.url, route, headers)
        const at = `${route.method} ${route.path} ${JSON.stringify(headers)}`
        assert.equal(status, 403, at)
        assert.match(String(error.message ?? error.detail), /start the router with LLM_ROUTER_ADMIN_KEY/, at)
      }
    assert.deepEqual(router.app.changes, [])
  })

for (const [name, records] of [
  ['without client keys', undefined],
  ['with client keys', clientRecords],
] as const)
  test(`routes that change the router require an operator key, on every port: ${name}`, async (t) => {
    const port = await freePort()
    const router = await start(
      t,
      { LLM_ROUTER_ADMIN_KEY: adminKey, LLM_ROUTER_ADMIN_PORT: `${port}` },
      records,
    )
    const admin = `http://127.0.0.1:${port}`
    const all = [
      ...(await changingRoutes(router)).filter(ofOperators).map((route) => ({ url: router.url, route })),
      ...['POST', 'PUT', 'PATCH', 'DELETE'].map((method) => ({
        url: admin,
        route: { method, path: '/change/admin', security: undefined },
      })),
    ]
    assert.ok(all.filter(({ route }) => isOfAdmins(route)).length >= 15)
    assert.ok(all.filter(({ route }) => route.path === '/api/session').length >= 2)
    for (const { url, route } of all) {
      const at = `${route.method} ${url}${route.path}`
      assert.equal((await send(url, route)).status, 401, at)
      for (const wrong of [`${adminKey}x`, adminKey.slice(0, -1), adminKey.toUpperCase(), 'x'])
        assert.equal((await send(url, route, bearer(wrong))).status, 401, at)
      assert.equal((await send(url, route, bearer(clientKey))).status, records ? 403 : 401, at)
      assert.deepEqual(router.app.changes?.splice(0), [], at)
      if (isOwn(route)) {
        const letIn = async (key: string) =>
          ![401, 403].includes((await send(url, route, bearer(key))).status)
        assert.ok(await letIn(adminKey), at)
        assert.equal(await letIn(operatorKey), records !== undefined && !isOfAdmins(route), at)
        continue
      }
      const right = [bearer(adminKey), { 'x-api-key': adminKey }, ...(records ? [bearer(operatorKey)] : [])]
      for (const headers of right) assert.equal((await send(url, route, headers)).status, 200, at)
      assert.ok((router.app.changes?.splice(0).length ?? 0) >= right.length, at)
    }
    const logs = JSON.stringify(router.logs)
    for (const key of [adminKey, operatorKey, clientKey]) assert.ok(!logs.includes(key))
    assert.ok(router.logs.some(({ msg, reason }) => msg === 'credentials rejected' && reason === 'unknown'))
    assert.ok(router.logs.some(({ msg, client }) => msg === 'request' && client === 'admin-key'))
  })

test('client routes need no operator key: model requests, stored responses, and routes that declare it', async (t) => {
  const router = await start(t, { LLM_ROUTER_ADMIN_KEY: adminKey })
  const routes = (await changingRoutes(router)).filter((route) => !ofOperators(route))
  assert.ok(routes.some(({ method, path }) => method === 'DELETE' && path === '/v1/responses/x'))
  assert.ok(routes.some(({ path }) => path === '/api/pull'))
  for (const route of routes) {
    const { status, error } = await send(router.url, route)
    assert.ok(status !== 401 && error.code !== 'operator_key_not_set', `${route.method} ${route.path}`)
  }
  assert.deepEqual(router.app.changes, ['POST /change/for-clients'])
  assert.equal((await send(router.url, { method: 'GET', path: '/change/undeclared' })).status, 200)
})

test('the operator key gives access to operator pages, but not to client endpoints', async (t) => {
  const router = await start(
    t,
    { LLM_ROUTER_ADMIN_KEY: adminKey, LLM_ROUTER_USE_PROMETHEUS: '1' },
    clientRecords,
  )
  for (const path of ['/metrics', '/api/status', '/ui']) {
    const status = async (key: string) => (await fetch(router.url + path, { headers: bearer(key) })).status
    assert.deepEqual([await status(adminKey), await status(clientKey), await status('x')], [200, 403, 401])
  }
  const chat = await send(router.url, { method: 'POST', path: '/v1/chat/completions' }, bearer(adminKey))
  assert.deepEqual([chat.status, chat.error.code], [403, 'endpoint_not_allowed'])
})

test('invalid operator keys from one address are limited', async (t) => {
  const router = await start(t, { LLM_ROUTER_ADMIN_KEY: adminKey })
  const route = { method: 'POST', path: '/change/undeclared' }
  const from = { 'x-forwarded-for': '198.51.100.7' }
  const statuses: number[] = []
  for (let index = 0; index < 12; index++)
    statuses.push((await send(router.url, route, { ...bearer(`wrong-key-number-${index}`), ...from })).status)
  assert.equal(statuses[0], 401)
  assert.equal(statuses.at(-1), 429)
  assert.equal((await send(router.url, route, bearer(adminKey))).status, 200)
})

test('a client key that becomes an operator key applies immediately', async (t) => {
  const file = keysFile(clientRecords.slice(0, 1))
  t.after(() => file.remove())
  const router = await startRouter({
    env: { ...file.env, LLM_ROUTER_EXTENSIONS: extension },
    models: modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] }),
  })
  t.after(() => router.close())
  const route = { method: 'POST', path: '/change/undeclared' }
  assert.equal((await send(router.url, route, bearer(clientKey))).error.code, 'operator_key_not_set')
  file.write([{ id: 'client', key: clientKey, surfaces: ['openai', 'operator'] }])
  await router.app.reload.now()
  assert.equal((await send(router.url, route, bearer(clientKey))).status, 200)
  file.write([{ id: 'client', key: clientKey, surfaces: ['openai', 'operator'], enabled: false }])
  await router.app.reload.now()
  assert.equal((await send(router.url, route, bearer(clientKey))).error.code, 'operator_key_not_set')
})

test('the API document names the operator key for routes that require it', async (t) => {
  const router = await start(t)
  const { components, paths } = JSON.parse(router.app.apiDocs.openapi('.'))
  assert.deepEqual(Object.keys(components.securitySchemes), ['operatorBearer', 'operatorKey'])
  assert.deepEqual(paths['/change/undeclared'].post.security, [{ operatorBearer: [] }, { operatorKey: [] }])
  assert.equal(paths['/change/undeclared'].get.security, undefined)
  assert.equal(paths['/change/for-clients'].post.security, undefined)
})
