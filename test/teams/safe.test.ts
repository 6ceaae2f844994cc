import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, type TestContext, test } from 'node:test'
import { bearer } from '../helpers/keys-file.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { databaseKinds, databases } from './databases.ts'
import { type Answer, adminKey, openTeam, shareTeam } from './team-router.ts'

const injections = [
  "' or '1'='1",
  "x'; drop table clients; --",
  "x'); delete from client_keys; --",
  'x" or ""="',
  "x' union select sha256 from client_keys --",
  '%',
  '_',
  '\\',
  "x'||(select sha256 from client_keys)||'",
]

interface Parameter {
  name: string
  in: string
}

for (const store of databaseKinds)
  describe(`teams in ${store}`, () => {
    const team = shareTeam(databases[store], () => ({ LLM_ROUTER_TRUSTED_PROXIES: '127.0.0.1' }))
    const { admin, newKey, chat } = team

    test('no parameter of the administration API is interpreted as SQL', async () => {
      await admin('POST', '/groups', { id: 'team' })
      const key = await newKey('alice', { group: 'team' })
      const state = async () => {
        const lists = [
          await admin('GET', '/clients'),
          await admin('GET', '/groups'),
          await admin('GET', '/keys'),
        ]
        return lists.map(({ body }) => body)
      }
      const former = await state()
      const document = JSON.parse(team.router.app.apiDocs.openapi('.'))
      const operations = Object.entries<Record<string, { parameters?: Parameter[] }>>(document.paths).filter(
        ([path]) => path.startsWith('/api/admin/'),
      )
      let asked = 0
      for (const [path, methods] of operations)
        for (const [method, { parameters = [] }] of Object.entries(methods))
          for (const { name, in: where } of parameters)
            for (const text of injections) {
              const value = encodeURIComponent(text)
              const filled = path.replaceAll(/\{(\w+)\}/g, (_part, each) => (each === name ? value : 'alice'))
              const query = where === 'query' ? `?${name}=${value}` : ''
              const body = ['get', 'delete'].includes(method) ? undefined : {}
              // Only the parameter is invalid: a result with all records would reveal an injection.
              if (where === 'query' || filled.includes(value)) {
                const answer = await admin(
                  method.toUpperCase(),
                  filled.replace('/api/admin', '') + query,
                  body,
                )
                assert.ok(answer.status < 500, `${method} ${path} ${name}=${text}: ${answer.status}`)
                if (where === 'query' && name !== 'cursor' && answer.status === 200)
                  assert.deepEqual(answer.body.data, [], `${method} ${path} ${name}=${text}`)
                asked++
              }
            }
      assert.ok(asked >= 100, String(asked))
      for (const text of injections) {
        const headers = { 'idempotency-key': text.replaceAll(' ', '+'), 'if-match': `"${text}"` }
        for (const [method, path, body] of [
          ['POST', '/clients', { id: text }],
          ['POST', '/clients', { id: 'other', group: text }],
          ['PATCH', '/clients/alice', { group: text }],
          ['POST', '/groups', { id: 'other', parent: text }],
          ['POST', '/clients/nobody/keys', { description: text }],
        ] as const) {
          const { status } = await admin(method, path, body, headers)
          assert.ok(status >= 400 && status < 500, `${method} ${path} ${text}: ${status}`)
        }
        await admin('PATCH', '/clients/alice', { description: text })
        assert.equal((await admin('GET', '/clients/alice')).body.description, text)
      }
      await admin('PATCH', '/clients/alice', { description: '' })
      const withoutTimes = (body: unknown) =>
        JSON.stringify(body)
          .replaceAll(/"(?:updated_at|description)":"[^"]*",?/g, '')
          .replaceAll(',}', '}')
      assert.equal(withoutTimes(await state()), withoutTimes(former))
      assert.equal((await chat(key)).status, 200)
    })

    test('members that the router sets are read-only, and a key cannot be moved to another client', async () => {
      await newKey('nadia')
      await newKey('bob')
      const [key] = (await admin('GET', '/keys?client=nadia')).body.data
      const wrong = {
        sha256: 'a'.repeat(64),
        prefix: 'x',
        id: 'key_x',
        client: 'bob',
        key: 'sk-x',
        revoked_at: null,
      }
      for (const [member, value] of Object.entries(wrong)) {
        assert.equal((await admin('POST', '/clients/nadia/keys', { [member]: value })).status, 400, member)
        assert.equal((await admin('POST', `/keys/${key.id}/rotate`, { [member]: value })).status, 400, member)
      }
      for (const member of ['id', 'version', 'created_at', 'updated_at', 'constructor', 'keys']) {
        assert.equal((await admin('PATCH', '/clients/nadia', { [member]: 'x' })).status, 400, member)
        assert.equal(
          (await admin('POST', '/groups', { id: 'g', [member]: 'x' })).status,
          member === 'id' ? 201 : 400,
        )
      }
      assert.equal((await admin('GET', '/keys?client=nadia')).body.data.length, 1)
    })

    test('an unauthorized caller learns nothing about existing records, nor about keys except that they are invalid', async () => {
      const carol = bearer(await newKey('carol'))
      const [revoked, disabled] = [await newKey('rita'), await newKey('dora')]
      const [{ id }] = (await admin('GET', '/keys?client=rita')).body.data
      await admin('POST', `/keys/${id}/revoke`)
      await admin('PATCH', '/clients/dora', { enabled: false })
      const plain = ({ status, body }: Answer) => [status, body]
      for (const [known, unknown] of [
        ['/clients/dora', '/clients/nobody'],
        ['/groups/x', '/groups/y'],
        ['/keys?client=rita', '/keys?client=nobody'],
      ] as const)
        assert.deepEqual(
          plain(await admin('GET', known, undefined, carol)),
          plain(await admin('GET', unknown, undefined, carol)),
        )
      const refusals = [await chat(revoked), await chat(disabled), await chat('sk-llmr-unknown-0123456789')]
      for (const each of refusals) assert.deepEqual(plain(each), plain(refusals[0] ?? each))
    })

    test("a client of one group has no access to another's models, stored responses or administration", async () => {
      await admin('POST', '/groups', { id: 'one', models: ['small'] })
      await admin('POST', '/groups', { id: 'two', models: ['large'] })
      const [one, two] = [await newKey('ann', { group: 'one' }), await newKey('bea', { group: 'two' })]
      assert.deepEqual([(await chat(one, 'small')).status, (await chat(one, 'large')).status], [200, 404])
      const made = await fetch(`${team.router.url}/v1/responses`, {
        method: 'POST',
        headers: { ...bearer(one), 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'small', input: 'hi', store: true }),
      })
      const { id } = Object(await made.json())
      const read = async (key: string) =>
        (await fetch(`${team.router.url}/v1/responses/${id}`, { headers: bearer(key) })).status
      assert.deepEqual([await read(one), await read(two)], [200, 404])
      for (const [method, path] of [
        ['PATCH', '/clients/ann'],
        ['PATCH', '/groups/two'],
        ['POST', '/clients/bea/keys'],
      ] as const)
        assert.equal((await admin(method, path, {}, bearer(one))).status, 403, path)
    })

    test('concurrent repeats of a create make one key, which only one response contains', async () => {
      await admin('POST', '/clients', { id: 'twice' })
      const headers = { 'idempotency-key': 'the-same' }
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => admin('POST', '/clients/twice/keys', {}, headers)),
      )
      assert.deepEqual(
        answers.map(({ status }) => status).toSorted(),
        [200, 200, 200, 200, 200, 200, 200, 201],
      )
      assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
      assert.equal(answers.filter(({ body }) => 'key' in body).length, 1)
      assert.equal((await admin('GET', '/keys?client=twice')).body.data.length, 1)
    })

    test('of concurrent changes with the same ETag exactly one is accepted', async () => {
      await newKey('etta')
      const etag = (await admin('GET', '/clients/etta')).headers.get('etag') ?? ''
      const change = (description: string) =>
        admin('PATCH', '/clients/etta', { description }, { 'if-match': etag })
      const answers = await Promise.all(['a', 'b', 'c', 'd'].map(change))
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 412, 412, 412])
    })

    test('a leaked database contains no key, no session and no usable credential', async () => {
      const key = await newKey('leaked', { role: 'admin' })
      const signedIn = await fetch(`${team.router.url}/api/session`, {
        method: 'POST',
        headers: bearer(key),
      })
      const cookie = (signedIn.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
      await fetch(`${team.router.url}/api/session`, {
        method: 'DELETE',
        headers: { cookie, origin: team.router.url },
      })
      const leaked = await contentOf(team.url)
      const digest = createHash('sha256').update(key).digest('hex')
      assert.ok(leaked.includes(digest))
      for (const secret of [
        key,
        key.slice(14),
        adminKey,
        cookie.split('=')[1] ?? '',
        'secret-of-the-sessions',
      ])
        assert.ok(!leaked.includes(secret))
      for (const wrong of [digest, key.slice(0, 14), `sha256:${digest}`])
        assert.equal((await chat(wrong)).status, 401)
    })

    test('a backup made while the router runs restores everything', async (t) => {
      const key = await newKey('saved')
      const { body: audit } = await admin('GET', '/audit')
      const copy = await backUp(t, team.url)
      await admin('DELETE', '/clients/saved')
      assert.equal((await chat(key)).status, 401)
      const restored = await openTeam(t, copy)
      assert.equal((await restored.chat(key)).status, 200)
      assert.deepEqual((await restored.admin('GET', '/audit')).body, audit)
      assert.equal((await restored.admin('POST', '/clients', { id: 'new' })).status, 201)
    })
  })

/** All bytes of a database, including the files that SQLite keeps beside it. */
async function contentOf(url: string): Promise<string> {
  if (!url.startsWith('sqlite:')) return (await sharedPostgres()).run('pg_dump', [url])
  const folder = dirname(url.slice('sqlite:'.length))
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'latin1'))
    .join('\n')
}

/** The URL of a copy, made and restored as docs/teams.md says. */
async function backUp(t: TestContext, url: string): Promise<string> {
  if (!url.startsWith('sqlite:')) {
    const postgres = await sharedPostgres()
    const copy = await postgres.url('nothing')
    postgres.run('psql', ['-q', '-v', 'ON_ERROR_STOP=1', copy], postgres.run('pg_dump', ['--no-owner', url]))
    return copy
  }
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-backup-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'copy.db')
  const database = new DatabaseSync(url.slice('sqlite:'.length))
  database.exec(`vacuum into '${file}'`)
  database.close()
  return `sqlite:${file}`
}
