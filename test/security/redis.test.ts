import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, type TestContext, test } from 'node:test'
import { RedisFleetBus } from '../../src/stores/fleet/redis.ts'
import { RedisLeases } from '../../src/stores/leases/redis.ts'
import { reapLeases } from '../../src/stores/leases/redis-reaper.ts'
import { RedisLimits } from '../../src/stores/limits/redis.ts'
import { connectListening, connectRedis } from '../../src/stores/redis/client.ts'
import type { RedisAddress } from '../../src/stores/redis/connection.ts'
import { redisKeys } from '../../src/stores/redis/keys.ts'
import { RedisResponses } from '../../src/stores/responses/redis.ts'
import { certificate } from '../helpers/certificates/certificate.ts'
import { eventually } from '../helpers/eventually.ts'
import { freePort, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { type RedisServer, startRedis } from '../helpers/programs/redis-server.ts'
import { startRouter } from '../helpers/router.ts'
import { startRouterProcess } from '../helpers/router-process.ts'
import { openaiText, startUpstream } from '../helpers/scripted-upstream.ts'
import { createDocumentedUser, documentedPassword, documentedUser } from '../stores/documented-user.ts'
import { freed, leaseRequest, taken } from '../stores/lease-requests.ts'

const folder = mkdtempSync(join(tmpdir(), 'llm-router-tls-'))
const certFile = join(folder, 'cert.pem')

let server: RedisServer
let tlsPort: number

before(async () => {
  writeFileSync(certFile, certificate.cert)
  writeFileSync(join(folder, 'key.pem'), certificate.key)
  tlsPort = Number(await freePort())
  const tls = ['--tls-port', `${tlsPort}`, '--tls-cert-file', certFile, '--tls-auth-clients', 'no']
  server = await startRedis(undefined, [
    ...tls,
    '--tls-key-file',
    join(folder, 'key.pem'),
    '--tls-ca-cert-file',
    certFile,
  ])
})
beforeEach(() => server.redis.flushall())
after(async () => {
  await server.stop()
  rmSync(folder, { recursive: true })
})

/** Addresses from which the user of docs/leases.md may connect. */
async function limitedUser(db = 0): Promise<RedisAddress> {
  await createDocumentedUser(server.redis)
  const url = `redis://llm-router:${documentedPassword}@127.0.0.1:${server.port}/${db}`
  return { url, host: '', port: 0, db: 0, password: undefined }
}

const silent = { info: () => undefined, warn: () => undefined }

function storesOf(t: TestContext, address: RedisAddress) {
  const link = connectRedis(address, 2_000)
  const now = () => performance.now()
  const warn = (details: object, message: string): void =>
    assert.notEqual(message, 'Redis is unavailable', JSON.stringify(details))
  const log = { info: () => undefined, warn }
  const leases = new RedisLeases({ link, worker: 'w1', heartbeatMs: 20, whenDown: 'reject', now, log })
  const responses = new RedisResponses({ address, ttlMs: 60_000, maxCount: 1, maxBytes: 1_000, now, log })
  const limits = new RedisLimits({ address, now, log, ttlMs: 3_000 })
  t.after(async () => {
    await Promise.all([leases.close(), responses.close(), limits.close()])
  })
  return { link, leases, responses, limits }
}

test('S20 a Redis user with the rights of docs/leases.md can do all that the router needs, and no more', async (t) => {
  const address = await limitedUser(1)
  const { link, leases, responses, limits } = storesOf(t, address)
  await leases.started()
  const request = leaseRequest('m', ['a', 'b'])
  const lease = await leases.acquire(request)
  assert.equal(lease?.target.id, 'a')
  const notified = freed(leases, 'm')
  // The other connection may not have subscribed yet: releases after that are reported.
  for (let waiting = true; waiting; ) {
    waiting = (await server.redis.pubsub('NUMSUB', 'llm-router:freed'))[1] === 0
  }
  await leases.release(lease)
  assert.equal(await notified, 'm')
  await leases.abandon(leaseRequest('m', ['b']))
  assert.equal(await taken(leases, leaseRequest('m', ['b'])), 'b')
  await reapLeases(link, 'w1')

  await responses.put('r1', { response: { id: 'r1' }, input: [] })
  await responses.put('r2', { response: { id: 'r2' }, input: [] })
  assert.deepEqual([await responses.find('r1'), (await responses.find('r2'))?.response.id], [undefined, 'r2'])
  assert.equal(await responses.remove('r2'), true)

  const limited = { key: 'team', ticket: 't1', limits: { concurrent: 1, requests: 5, tokens: 100 } }
  assert.equal((await limits.admit(limited)).rejectedBy, undefined)
  assert.equal((await limits.admit({ ...limited, ticket: 't2' })).rejectedBy, 'concurrent')
  const demand = { ...limited, tokens: 50, requests: 3, slots: 2 }
  assert.equal((await limits.reserve(demand)).rejectedBy, undefined)
  const inspector = server.redis.duplicate({ db: 1 })
  t.after(() => inspector.disconnect())
  const expiry = async () => Number(await inspector.zscore(redisKeys.keyOpen('team'), 't1'))
  const granted = await expiry()
  await eventually(async () => (await expiry()) > granted)
  await limits.settle({ ...limited, tokens: 7, undone: false })

  const busLink = connectListening(address, ['acquire-leadership', 'release-leadership'] as const)
  const bus = new RedisFleetBus({ link: busLink, router: 'r1', now: () => performance.now(), log: silent })
  await eventually(() => bus.role === 'leader')
  bus.publish({ type: 'demand', models: {} })
  await eventually(async () => (await server.redis.pubsub('NUMSUB', 'llm-router:fleet'))[1] !== 0)
  await bus.close()

  assert.deepEqual(await server.redis.call('ACL', 'LOG'), [], 'nothing was refused so far')
  for (const [command, ...args] of [
    ['get', 'other'],
    ['keys', '*'],
    ['flushall'],
    ['config', 'get', '*'],
    ['publish', 'other', 'x'],
    ['eval', "return redis.call('GET', 'other')", '0'],
  ] as const) {
    await assert.rejects(link.commands.call(command, ...args), /NOPERM|permission|can't access/i, command)
  }
})

test('S20 the documented line names no command that no script or connection uses', () => {
  const sources = [
    'acquire-lease',
    'renew-leases',
    'release-leases',
    'find-response',
    'put-response',
    'remove-response',
  ]
    .concat('admit-key', 'renew-key', 'settle-key', 'acquire-leadership', 'release-leadership')
    .map((step) => readFileSync(join(import.meta.dirname, `../../src/stores/redis/lua/${step}.lua`), 'utf8'))
  const used = new Set(
    [...sources.join('').matchAll(/redis\.call\('([A-Z]+)'/g)].map(([, name = '']) => name),
  )
  // ioredis when it connects, and the commands outside of scripts.
  for (const name of ['INFO', 'SELECT', 'EVAL', 'EVALSHA', 'SUBSCRIBE', 'SET', 'HGETALL', 'DEL'])
    used.add(name)
  const granted = documentedUser().filter((word) => word.startsWith('+'))
  assert.deepEqual(granted.map((word) => word.slice(1).toUpperCase()).toSorted(), [...used].toSorted())
})

const strange = ['a', 'a}:leases:b', 'a*', 'a\r\nSET x 1\r\n', '{a}', '%7Ba%7D', 'a\0', 'ą', 'a b', '?[a]']

test('S20 names of models and targets with special characters of Redis and its protocol are only names', async (t) => {
  const { leases } = storesOf(t, await limitedUser())
  await leases.started()
  const held = []
  for (const model of strange) {
    const lease = await leases.acquire(leaseRequest(model, ['b', '}:leases:b', 'x\r\n*']))
    assert.equal(lease?.target.id, 'b', `${JSON.stringify(model)} shares nothing with another one`)
    held.push(lease)
  }
  // Without escaping, these two would be one key.
  assert.notEqual(redisKeys.leases('a}:leases:b', 'c'), redisKeys.leases('a', 'b}:leases:c'))
  assert.equal((await server.redis.keys('{m:*}:leases:*')).length, strange.length)
  assert.equal(await server.redis.exists('x'), 0)
  for (const lease of held) if (lease) await leases.release(lease)
  assert.deepEqual(await server.redis.keys('{m:*}:leases:*'), [])
  assert.deepEqual(await server.redis.call('ACL', 'LOG'), [])
})

test('S20 over TLS a router that trusts the CA of Redis shares leases, and one that does not sends nothing', async (t) => {
  const upstream = await startUpstream(openaiText('Hi'))
  t.after(() => upstream.close())
  const models = modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] })
  const env = {
    LLM_ROUTER_BALANCE_STRATEGY: 'first_available',
    LLM_ROUTER_REDIS_URL: `rediss://localhost:${tlsPort}`,
  }
  const trusting = await startRouterProcess({ env: { ...env, NODE_EXTRA_CA_CERTS: certFile }, models })
  t.after(() => trusting.stop())
  const released = Promise.withResolvers<void>()
  upstream.rescript(async () => {
    await released.promise
    return openaiText('Hi')
  })
  const answer = post(`${trusting.url}/v1/chat/completions`, { model: 'one', messages })
  await upstream.requestReceived(0)
  assert.equal(await server.redis.exists(redisKeys.leases('one', 'one')), 1)
  released.resolve()
  assert.equal((await answer).status, 200)
  assert.ok(!trusting.logs.some(({ msg }) => msg === 'Redis is unavailable'))

  const connections = async () =>
    Number(/total_commands_processed:(\d+)/.exec(await server.redis.info())?.[1])
  await trusting.stop()
  const counted = await connections()
  const doubting = await startRouter({ env, models })
  t.after(() => doubting.close())
  const line = await doubting.logged(({ msg }) => msg === 'Redis is unavailable')
  assert.match(String(line.error), /certificate/)
  assert.equal(await connections(), counted + 1, 'only the one of this test')
})
