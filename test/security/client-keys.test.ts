import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { postBytes, RawClient, sendRaw } from '../helpers/raw-client.ts'
import { bearer, chat, head, KeyedRouter, keys, path, records } from './keyed-router.ts'

let keyed: KeyedRouter

before(async () => {
  keyed = await KeyedRouter.open()
})
after(() => keyed.close())

test('S8 a key is compared whole: keys with the same beginning differ, and a part or an extension is invalid', async () => {
  assert.equal(keys.all.slice(0, 20), keys.few.slice(0, 20))
  assert.equal(await keyed.statusFor(keys.all, chat('Large')), 200)
  assert.equal(await keyed.statusFor(keys.few, chat('Large')), 404)
  for (const key of [keys.all.slice(0, -1), `${keys.all}x`, keys.all.slice(0, 20), keys.all.toUpperCase()])
    assert.equal(await keyed.statusFor(key, chat('small')), 401, key)
})

test('S8 the key is accepted as a bearer token in any letter case, or as x-api-key', async () => {
  const headers = keyed.fromNewAddress()
  for (const more of [{ authorization: `bearer ${keys.all}` }, { 'x-api-key': keys.all }] as Record<
    string,
    string
  >[])
    assert.equal((await post(keyed.router.url + path, chat('small'), { ...headers, ...more })).status, 200)
  const basic = { authorization: `Basic ${keys.all}` }
  assert.equal((await post(keyed.router.url + path, chat('small'), { ...headers, ...basic })).status, 401)
  assert.equal((await keyed.get(`/v1/models?api_key=${keys.all}`)).status, 401)
})

test('S8 unknown, disabled, expired and malformed keys get the same response', async () => {
  const answers = new Set<string>()
  for (const key of ['unknown', keys.disabled, keys.expired, '\u00e9\u00ff', 'x'.repeat(8000), '{}']) {
    const { status, text, headers } = await post(keyed.router.url + path, chat('small'), {
      ...keyed.fromNewAddress(),
      ...bearer(key),
    })
    answers.add(`${status} ${headers.get('www-authenticate')} ${headers.get('connection')} ${text}`)
  }
  assert.equal(answers.size, 1)
  assert.match([...answers].join(), /^401 Bearer .*"code":"invalid_api_key"/)
})

test('S8 a key is in no log line and is sent to no upstream, while its id is in the log', async () => {
  const from = keyed.sent.length
  const headers = { ...keyed.fromNewAddress(), ...bearer(keys.all), 'x-request-id': 's8-log' }
  await post(keyed.router.url + path, chat('small'), headers)
  await post(keyed.router.url + path, chat('small'), { ...keyed.fromNewAddress(), ...bearer(keys.disabled) })
  const line = await keyed.router.requestLogged('s8-log')
  assert.equal(line.client, 'all')
  const refused = await keyed.router.logged(
    (each) => each.msg === 'credentials rejected' && each.client === 'disabled',
  )
  assert.equal(refused.reason, 'disabled')
  assert.ok(!JSON.stringify(keyed.router.logs).includes(head))
  const sent = keyed.sent.slice(from)
  assert.equal(sent.length, 1)
  assert.ok(!JSON.stringify(sent.map(({ headers }) => headers)).includes(head))
})

test('S9 without a key only version and liveness endpoints are accessible', async () => {
  for (const at of [
    '/',
    '/ping',
    '/api/ping',
    '/version',
    '/api/version',
    '/livez',
    '/readyz',
    '/healthz',
    '/ping/',
  ])
    assert.ok([200, 503].includes((await keyed.get(at)).status), at)
  const closed = [
    '/v1/models',
    '/models',
    '/api/tags',
    '/v1/models/small',
    '/api/ps',
    '/api/v0/models',
    '/metrics',
  ]
  closed.push(
    '/api/metrics',
    '/api/status',
    '/api/status/events',
    '/ui',
    '/ui/fleet',
    '/api/prompts',
    '/builtin',
  )
  closed.push(
    '/nowhere',
    '/api/nowhere',
    '//ping',
    '/ping/x',
    '/%2fping',
    '/Ping',
    '/v1/responses/x',
    '/ping%00',
  )
  for (const at of closed) assert.equal((await keyed.get(at)).status, 401, at)
  const posts = [
    path,
    '/v1/messages',
    '/v1/messages/count_tokens',
    '/v1/responses',
    '/v1/completions',
    '/api/chat',
  ]
  posts.push(
    '/api/generate',
    '/api/embed',
    '/api/embeddings',
    '/v1/embeddings',
    '/rerank',
    '/tokenize',
    '/api/show',
  )
  posts.push(
    '/v1/audio/speech',
    '/v1/audio/transcriptions',
    '/api/translate',
    '/builtin/translate',
    '/api/pull',
  )
  for (const at of posts) assert.equal((await post(keyed.router.url + at, '{')).status, 401, at)
})

test('S9 a request without a valid key is rejected before its body is read', async () => {
  const strangers = [
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n`,
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\n`,
    `POST ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`,
    `POST ${path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n`,
  ]
  for (const bytes of strangers) {
    const { status, closed } = await sendRaw(keyed.router.url, bytes)
    assert.deepEqual([status, closed], [401, true], bytes)
  }
  const large = postBytes(path, { ...chat('small'), x: 'x'.repeat(20_000) }, [
    `authorization: Bearer ${keys.all}`,
  ])
  assert.equal((await sendRaw(keyed.router.url, large)).status, 413)
})

test('S9 what follows a rejected request on its connection is not answered', async () => {
  const client = await RawClient.open(keyed.router.url)
  const second = postBytes(path, chat('small'), [`authorization: Bearer ${keys.all}`])
  client.send(postBytes(path, chat('small')) + second)
  assert.equal((await client.answer()).status, 401)
  assert.equal(await client.rest(), '')
})

test('S10 after ten different invalid keys an address has to wait, and short keys are no longer checked', async () => {
  const headers = keyed.fromNewAddress()
  const tryKey = (key: string) => post(keyed.router.url + path, chat('small'), { ...headers, ...bearer(key) })
  const wrong = await Promise.all(Array.from({ length: 30 }, (_, index) => tryKey(`wrong-${index}`)))
  assert.equal(wrong.filter(({ status }) => status === 401).length, 10)
  const refused = wrong.find(({ status }) => status === 429)
  assert.match(refused?.text ?? '', /"code":"too_many_failed_logins"/)
  assert.equal(refused?.headers.get('retry-after'), '6')
  assert.equal(refused?.headers.get('x-should-retry'), 'false')
  assert.equal((await tryKey(keys.short)).status, 429, 'a valid key short enough to be guessed')
  assert.equal((await tryKey(keys.few)).status, 200, 'a valid key too long to be guessed')
  assert.equal(await keyed.statusFor(keys.short, chat('small')), 200, 'another address')
})

test('S10 a short key that was in use at an address stays usable there after invalid keys', async () => {
  const headers = keyed.fromNewAddress()
  const tryKey = (key: string) => post(keyed.router.url + path, chat('small'), { ...headers, ...bearer(key) })
  assert.equal((await tryKey(keys.short)).status, 200)
  for (let index = 0; index < 11; index++) await tryKey(`wrong-${index}`)
  assert.equal((await tryKey('wrong-12')).status, 429)
  assert.equal((await tryKey(keys.short)).status, 200)
})

test('S10 a program that retries one invalid key forever uses up no attempts of others at its address', async () => {
  const headers = keyed.fromNewAddress()
  const tryKey = (key: string) => post(keyed.router.url + path, chat('small'), { ...headers, ...bearer(key) })
  const retries = await Promise.all(Array.from({ length: 50 }, () => tryKey('an-old-key')))
  assert.deepEqual(new Set(retries.map(({ status }) => status)), new Set([401]))
  for (let index = 0; index < 20; index++) assert.equal((await tryKey(keys.expired)).status, 401)
  assert.equal((await tryKey(keys.short)).status, 200)
  for (let index = 0; index < 8; index++) assert.equal((await tryKey(`wrong-${index}`)).status, 401)
  assert.equal((await tryKey('wrong-8')).status, 429, 'with those two it was ten')
  assert.equal((await tryKey('an-old-key')).status, 401, 'the response is the same as before')
})

test('S10 a forged client address changes nothing', async () => {
  const { 'x-forwarded-for': own } = keyed.fromNewAddress()
  const statuses: number[] = []
  for (let index = 0; index < 12; index++) {
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': `198.51.100.${index}, ${own}` }
    const key = bearer(`wrong-${index}`)
    statuses.push((await post(keyed.router.url + path, chat('small'), { ...headers, ...key })).status)
  }
  assert.deepEqual(statuses.slice(9), [401, 429, 429])
})

test('S8 a key that is removed from the file is rejected without a restart', async (t) => {
  t.after(() => keyed.file.write(records))
  assert.equal(await keyed.statusFor(keys.all, chat('small')), 200)
  const readAgain = keyed.router.logged(({ msg }) => msg === 'client keys reloaded')
  keyed.file.write(records.filter(({ id }) => id !== 'all'))
  await readAgain
  assert.equal(await keyed.statusFor(keys.all, chat('small')), 401)
  const kept = keyed.router.logged(({ msg }) => String(msg).includes('the client keys in use stay in effect'))
  keyed.file.write([{ id: 'broken' }])
  await kept
  assert.equal(await keyed.statusFor(keys.few, chat('small')), 200)
})
