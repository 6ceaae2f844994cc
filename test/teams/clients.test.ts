import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { bearer, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { sharedPostgres } from '../helpers/programs/postgres.ts'
import { RawClient } from '../helpers/raw-client.ts'
import { databaseKinds, databases } from './databases.ts'
import { adminKey, openTeam, shareTeam, sqliteUrl, type TeamRouter } from './team-router.ts'

for (const store of databaseKinds) {
  describe(`clients in ${store}`, () => {
    const file = keysFile([{ id: 'filed', key: 'sk-of-the-file-0123456789' }])
    after(() => file.remove())
    const team = shareTeam(databases[store], () => file.env)
    const { admin, newKey, chat } = team

    test('a key authenticates its client, and only the response that creates it contains it', async () => {
      const key = await newKey('alice', { description: 'a person' })
      assert.equal((await chat(key)).status, 200)
      const line = await team.router.logged(({ client }) => client === 'alice')
      assert.equal(line.model, 'small')
      const list = await admin('GET', '/keys?client=alice')
      assert.deepEqual(
        list.body.data.map(({ client, prefix, key: whole }: Record<string, unknown>) => [
          client,
          prefix,
          whole,
        ]),
        [['alice', key.slice(0, 14), undefined]],
      )
      const everything = JSON.stringify([list.body, (await admin('GET', '/audit')).body, team.router.logs])
      assert.ok(!everything.includes(key.slice(14)))
    })

    test('a client can have several keys, with the same limits, metrics and id', async () => {
      const keys = [await newKey('several', { requests_per_minute: 2 }), await newKey('several')]
      assert.deepEqual(await statuses(chat, [keys[0], keys[1], keys[0], keys[1]]), [200, 200, 429, 429])
    })

    test('a revoked key, and a key of a disabled or expired client, is rejected immediately', async () => {
      const [first, second] = [await newKey('rita'), await newKey('rita')]
      const [{ id }] = (await admin('GET', '/keys?client=rita')).body.data.filter(
        ({ prefix }: { prefix: string }) => prefix === first.slice(0, 14),
      )
      assert.equal((await admin('POST', `/keys/${id}/revoke`)).status, 200)
      assert.deepEqual(await statuses(chat, [first, second]), [401, 200])
      await admin('PATCH', '/clients/rita', { enabled: false })
      assert.deepEqual(await statuses(chat, [second]), [401])
      await admin('PATCH', '/clients/rita', { enabled: true, expires_at: '2020-01-01T00:00:00Z' })
      assert.deepEqual(await statuses(chat, [second]), [401])
      await admin('PATCH', '/clients/rita', { expires_at: null })
      assert.deepEqual(await statuses(chat, [second]), [200])
    })

    test('a change whose body arrives after its key was revoked, or lost its role, is rejected', async () => {
      const body = JSON.stringify({ id: 'late', role: 'admin' })
      const begin = async (key: string) => {
        const client = await RawClient.open(team.router.url)
        const head = `POST /api/admin/clients HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n`
        // The router asks for the body once it has accepted the key.
        client.send(`${head}content-type: application/json\r\nexpect: 100-continue\r\n`)
        client.send(`content-length: ${body.length}\r\n\r\n`)
        assert.equal((await client.answer()).status, 100)
        return client
      }
      const revoked = await begin(await newKey('leaver', { role: 'admin' }))
      const demoted = await begin(await newKey('mover', { role: 'admin' }))
      const [{ id }] = (await admin('GET', '/keys?client=leaver')).body.data
      await admin('POST', `/keys/${id}/revoke`)
      await admin('PATCH', '/clients/mover', { role: 'viewer' })
      revoked.send(body)
      demoted.send(body)
      assert.deepEqual([(await revoked.answer()).status, (await demoted.answer()).status], [401, 403])
      assert.equal((await admin('GET', '/clients/late')).status, 404)
    })

    test('a request whose body arrives after its key has expired is rejected', async () => {
      await newKey('slow')
      const expires_at = new Date(Date.now() + 2_000).toISOString()
      const { key } = (await admin('POST', '/clients/slow/keys', { expires_at })).body
      const body = JSON.stringify({ model: 'small', messages })
      const client = await RawClient.open(team.router.url)
      client.send(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n`)
      client.send('content-type: application/json\r\nexpect: 100-continue\r\n')
      client.send(`content-length: ${body.length}\r\n\r\n`)
      assert.equal((await client.answer()).status, 100)
      await eventually(async () => (await chat(key)).status === 401)
      client.send(body)
      assert.equal((await client.answer()).status, 401)
    })

    test('an expiry that is no time is rejected, for a key and for a client', async () => {
      await newKey('tim')
      for (const wrong of ['tomorrow', '2027-13-01T00:00:00Z', '2027-01-31T25:00:00Z', '2027-01-31']) {
        const key = await admin('POST', '/clients/tim/keys', { expires_at: wrong })
        assert.deepEqual([key.status, key.body.param], [400, 'expires_at'], wrong)
        const client = await admin('PATCH', '/clients/tim', { expires_at: wrong })
        assert.deepEqual([client.status, client.body.param], [400, 'expires_at'], wrong)
      }
    })

    test('a rotated key remains valid for the specified period', async () => {
      const first = await newKey('roger')
      const [{ id }] = (await admin('GET', '/keys?client=roger')).body.data
      const second = (await admin('POST', `/keys/${id}/rotate`, { overlap_seconds: 3_600 })).body
      assert.deepEqual(await statuses(chat, [first, second.key]), [200, 200])
      const third = (await admin('POST', `/keys/${second.id}/rotate`, { overlap_seconds: 0 })).body
      assert.deepEqual(await statuses(chat, [first, second.key, third.key]), [200, 401, 200])
      assert.equal((await admin('POST', `/keys/${second.id}/rotate`, {})).status, 409)
    })

    test("a group's models, surfaces, endpoints and tokens restrict its clients", async () => {
      await admin('POST', '/groups', { id: 'company', surfaces: ['openai'], max_tokens: 100 })
      await admin('POST', '/groups', { id: 'team', parent: 'company', models: ['small'] })
      const key = await newKey('bound', { group: 'team', models: ['*'] })
      assert.deepEqual(
        [
          (await chat(key)).status,
          (await chat(key, 'large')).status,
          (await chat(key, 'small', { max_tokens: 101 })).status,
        ],
        [200, 404, 400],
      )
      const ask = async (path: string, body: object) =>
        (
          await fetch(team.router.url + path, {
            method: 'POST',
            headers: { ...bearer(key), 'content-type': 'application/json' },
            body: JSON.stringify(body),
          })
        ).status
      const hello = { model: 'small', max_tokens: 5, messages }
      assert.equal(await ask('/v1/messages', hello), 403)
      await admin('PATCH', '/groups/team', { endpoints: ['/v1/completions'] })
      assert.equal((await chat(key)).status, 403)
      assert.equal(await ask('/v1/completions', { model: 'small', prompt: 'hi', max_tokens: 5 }), 200)
      await admin('PATCH', '/groups/company', { enabled: false })
      assert.equal((await chat(key)).status, 401)
    })

    test("a group's limit is shared by its clients, and each client also has its own", async () => {
      await admin('POST', '/groups', { id: 'sharing', requests_per_minute: 3 })
      const alice = await newKey('lisa', { group: 'sharing', requests_per_minute: 1 })
      const bob = await newKey('bob', { group: 'sharing' })
      assert.deepEqual(await statuses(chat, [alice, alice, bob, bob, bob]), [200, 429, 200, 200, 429])
    })

    test('a change with an outdated ETag is rejected', async () => {
      await newKey('etta')
      const first = await admin('GET', '/clients/etta')
      const etag = first.headers.get('etag') ?? ''
      const change = (description: string) =>
        admin('PATCH', '/clients/etta', { description }, { 'if-match': etag })
      assert.equal((await change('one')).status, 200)
      const refused = await change('two')
      assert.deepEqual([refused.status, refused.body.code], [412, 'version_mismatch'])
      assert.equal((await admin('GET', '/clients/etta')).body.description, 'one')
    })

    test('a repeated create with the same idempotency key returns 200 with the same id and without the key', async () => {
      const headers = { 'idempotency-key': 'once' }
      const clients = [
        await admin('POST', '/clients', { id: 'once' }, headers),
        await admin('POST', '/clients', { id: 'once' }, headers),
      ]
      assert.deepEqual(
        clients.map(({ status, body }) => [status, body.id]),
        [
          [201, 'once'],
          [200, 'once'],
        ],
      )
      const other = await admin('POST', '/clients', { id: 'other' }, headers)
      assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused'])
      await admin('POST', '/clients', { id: 'second' })
      const first = await admin('POST', '/clients/once/keys', {}, headers)
      const ofOther = await admin('POST', '/clients/second/keys', {}, headers)
      assert.deepEqual([ofOther.status, ofOther.body.code], [422, 'idempotency_key_reused'])
      const again = await admin('POST', '/clients/once/keys', {}, headers)
      assert.deepEqual([first.status, again.status, again.body.id], [201, 200, first.body.id])
      assert.deepEqual([typeof first.body.key, 'key' in again.body], ['string', false])
    })

    test('read-only members, unknown groups and a third group level are rejected', async () => {
      for (const member of ['sha256', 'version', 'created_at', 'key', '__proto__x'])
        assert.equal((await admin('POST', '/clients', { id: 'nobody', [member]: 'x' })).status, 400, member)
      const { status, body } = await admin('POST', '/clients', { id: 'nobody', group: 'nogroup' })
      assert.deepEqual([status, body.code, body.param], [400, 'no_such_group', 'group'])
      await admin('POST', '/groups', { id: 'one' })
      await admin('POST', '/groups', { id: 'two', parent: 'one' })
      assert.equal((await admin('POST', '/groups', { id: 'three', parent: 'two' })).body.code, 'too_deep')
      assert.equal((await admin('PATCH', '/groups/one', { parent: 'one' })).body.code, 'too_deep')
      assert.equal((await admin('DELETE', '/groups/one')).body.code, 'group_not_empty')
      assert.equal((await admin('GET', '/clients/nobody')).status, 404)
    })

    test('lists are paginated', async () => {
      for (const id of ['page-a', 'page-b', 'page-c']) await admin('POST', '/clients', { id })
      const ids: string[] = []
      let cursor = ''
      do {
        const { body } = await admin('GET', `/clients?limit=2${cursor && `&cursor=${cursor}`}`)
        ids.push(...body.data.map(({ id }: { id: string }) => id))
        cursor = body.next_cursor ?? ''
      } while (cursor !== '')
      const { body: whole } = await admin('GET', '/clients?limit=100')
      assert.deepEqual(
        ids,
        whole.data.map(({ id }: { id: string }) => id),
      )
      assert.deepEqual(
        ids.filter((id) => id.startsWith('page-')),
        ['page-a', 'page-b', 'page-c'],
      )
    })

    test('the audit log records who changed what and from where, with the values before and after', async () => {
      await newKey('audited', { models: ['small'] })
      await admin('PATCH', '/clients/audited', { models: ['large'] })
      const [last] = (await admin('GET', '/audit')).body.data
      assert.deepEqual(
        [last.actor, last.source, last.address, last.action, last.entity, last.entity_id],
        ['admin-key', 'api', '127.0.0.1', 'change', 'client', 'audited'],
      )
      assert.deepEqual(
        [JSON.parse(last.before).models, JSON.parse(last.after).models],
        [['small'], ['large']],
      )
    })

    test('a viewer can read, an operator cannot change clients, an admin can, and a client has no access', async () => {
      const keys = {
        client: await newKey('carol'),
        viewer: await newKey('vera', { role: 'viewer' }),
        operator: await newKey('oscar', { role: 'operator' }),
        admin: await newKey('ada', { role: 'admin' }),
      }
      const seen = async (key: string) => {
        const list = await admin('GET', '/clients', undefined, bearer(key))
        const create = await admin('POST', '/groups', { id: `by-${key.slice(8, 14)}` }, bearer(key))
        return [list.status, create.status]
      }
      assert.deepEqual(await seen(keys.client), [403, 403])
      assert.deepEqual(await seen(keys.viewer), [200, 403])
      assert.deepEqual(await seen(keys.operator), [200, 403])
      assert.deepEqual(await seen(keys.admin), [200, 201])
      assert.equal((await fetch(`${team.router.url}/api/admin/clients`)).status, 401)
    })

    test('keys of the file and of the database are valid at the same time', async () => {
      assert.deepEqual(
        await statuses(chat, ['sk-of-the-file-0123456789', await newKey('stored')]),
        [200, 200],
      )
    })

    test('a second router on the same database accepts a new key, and its revocation', async (t) => {
      const two = await openTeam(t, team.url, file.env)
      const key = await newKey('second')
      await eventually(async () => (await two.chat(key)).status === 200)
      const [{ id }] = (await admin('GET', '/keys?client=second')).body.data
      await admin('POST', `/keys/${id}/revoke`)
      await eventually(async () => (await two.chat(key)).status === 401)
    })
  })
}

test('the examples of the API documentation succeed', async (t) => {
  const { router, admin } = await openTeam(t, sqliteUrl(t))
  // biome-ignore lint/suspicious/noExplicitAny: a document that other tests check.
  const { paths }: any = await (
    await fetch(`${router.url}/openapi.json`, { headers: bearer(adminKey) })
  ).json()
  const example = (path: string, method: string) =>
    paths[`/api/admin${path}`][method].requestBody.content['application/json'].example
  const made = [
    await admin('POST', '/groups', example('/groups', 'post')),
    await admin('PATCH', '/groups/research', example('/groups/{id}', 'patch')),
    await admin('POST', '/clients', example('/clients', 'post')),
    await admin('PATCH', '/clients/alice', example('/clients/{id}', 'patch')),
    await admin('POST', '/clients/alice/keys', example('/clients/{id}/keys', 'post')),
  ]
  assert.deepEqual(
    made.map(({ status }) => status),
    [201, 200, 201, 200, 201],
  )
  const rotation = example('/keys/{id}/rotate', 'post')
  assert.equal((await admin('POST', `/keys/${made[4]?.body.id}/rotate`, rotation)).status, 201)
})

test('requests continue while the database is unavailable, and changes are rejected until it is back', async (t) => {
  const postgres = await sharedPostgres()
  const team = await openTeam(t, await postgres.url())
  const key = await team.newKey('alice')
  await postgres.stop()
  try {
    assert.equal((await team.chat(key)).status, 200)
    const refused = await team.admin('POST', '/clients', { id: 'bob' })
    assert.deepEqual([refused.status, refused.body.code], [503, 'database_unavailable'])
    assert.equal((await team.chat(key)).status, 200)
  } finally {
    await postgres.start()
  }
  await eventually(async () => (await team.admin('POST', '/clients', { id: 'bob' })).status === 201)
})

async function statuses(chat: TeamRouter['chat'], keys: readonly (string | undefined)[]): Promise<number[]> {
  const all: number[] = []
  for (const key of keys) all.push((await chat(key ?? '')).status)
  return all
}
