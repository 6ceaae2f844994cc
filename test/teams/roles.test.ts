import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { request } from 'undici'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { adminKey, openTeam, shareTeam, sqliteUrl } from './team-router.ts'

const filed = (name: string): string => `sk-of-the-file-${name}-0123456789`
const records = [
  { id: 'filed-client', key: filed('client') },
  { id: 'filed-viewer', key: filed('viewer'), role: 'viewer' },
  { id: 'filed-operator', key: filed('operator'), role: 'operator' },
  { id: 'filed-surface', key: filed('surface'), surfaces: ['operator'] },
  { id: 'filed-admin', key: filed('admin'), role: 'admin' },
]

interface Operation {
  method: string
  path: string
  role: string | undefined
}

const file = keysFile(records)
after(() => file.remove())
const team = shareTeam(sqliteUrl, () => ({ ...file.env, LLM_ROUTER_TRUSTED_PROXIES: '127.0.0.1' }))
const { admin, newKey, chat } = team

/** Every operation of the document, at an existing path. */
async function operations(url: string, key: string): Promise<Operation[]> {
  const response = await fetch(`${url}/openapi.json`, { headers: bearer(key) })
  const document = Object(await response.json())
  return Object.entries<Record<string, Record<string, string>>>(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { 'x-required-role': role }]) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(/\{\w+\}/g, 'x'),
      role,
    })),
  )
}

let addresses = 0
/**
 * The status, and whether the rejection is about the role. Each from its own address, so that failed attempts do not throttle
 * others.
 */
async function ask(url: string, { method, path }: Operation, key: string | undefined): Promise<string> {
  const address = `192.0.${++addresses >> 8}.${addresses & 255}`
  const hasBody = !['DELETE', 'GET', 'HEAD'].includes(method)
  const { statusCode, headers, body } = await request(url + path, {
    method,
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': address,
      ...(key === undefined ? {} : bearer(key)),
    },
    ...(hasBody ? { body: '[' } : {}),
  })
  // Read to its end, so that the connection can be reused; event streams have no end.
  if (/event-stream/.test(String(headers['content-type']))) body.on('error', () => undefined).destroy()
  else await body.dump({ limit: Number.POSITIVE_INFINITY })
  return statusCode === 401 || statusCode === 403 ? `${statusCode}` : 'let in'
}

const order = ['viewer', 'operator', 'admin']

test('each role may do exactly what the API document says, with keys of the file and of the database', async () => {
  const { router } = team
  const holders: [string, string | undefined, string][] = [
    ['filed viewer', 'viewer', filed('viewer')],
    ['filed operator', 'operator', filed('operator')],
    ['filed key with the surface operator', 'operator', filed('surface')],
    ['filed admin', 'admin', filed('admin')],
    ['filed client', undefined, filed('client')],
    ['stored viewer', 'viewer', await newKey('vera', { role: 'viewer' })],
    ['stored operator', 'operator', await newKey('oscar', { role: 'operator' })],
    ['stored key with the surface operator', 'operator', await newKey('sue', { surfaces: ['operator'] })],
    ['stored admin', 'admin', await newKey('ada', { role: 'admin' })],
    ['stored client', undefined, await newKey('carol')],
    ['LLM_ROUTER_ADMIN_KEY', 'admin', adminKey],
  ]
  const all = await operations(router.url, filed('client'))
  const ofOperators = all.filter(({ role }) => role !== undefined)
  assert.ok(ofOperators.length >= 20, String(ofOperators.length))
  const under = all.filter(({ path }) => path.startsWith('/api/admin/'))
  for (const { method, path, role } of under)
    assert.equal(role, method === 'GET' ? 'viewer' : 'admin', `${method} ${path}`)
  for (const operation of ofOperators) {
    const { method, path, role = '' } = operation
    assert.equal(await ask(router.url, operation, undefined), '401', `${method} ${path} without a key`)
    for (const [name, held, key] of holders) {
      const expected = held !== undefined && order.indexOf(held) >= order.indexOf(role) ? 'let in' : '403'
      assert.equal(await ask(router.url, operation, key), expected, `${method} ${path}: ${name}`)
    }
  }
})

test('a key with a role can use models only if it also has their surfaces', async () => {
  assert.equal((await chat(filed('viewer'))).status, 403)
  assert.equal((await chat(await newKey('alan', { role: 'admin' }))).status, 403)
  assert.equal((await chat(await newKey('both', { role: 'admin', surfaces: ['openai'] }))).status, 200)
})

test("a group without the surface of operators revokes its clients' roles", async () => {
  await admin('POST', '/groups', { id: 'team', surfaces: ['openai'] })
  const key = await newKey('astrid', { role: 'admin', group: 'team' })
  assert.equal((await admin('GET', '/clients', undefined, bearer(key))).status, 403)
  assert.equal((await admin('POST', '/clients', { id: 'x' }, bearer(key))).status, 403)
})

test('an unknown role prevents startup, with its position in the file', async (t) => {
  const file = keysFile([{ id: 'x', key: filed('x'), role: 'root' }])
  t.after(() => file.remove())
  await assert.rejects(openTeam(t, sqliteUrl(t), file.env), /role.*viewer.*operator.*admin/s)
})
