import assert from 'node:assert/strict'
import { after, before, beforeEach, type TestContext, test } from 'node:test'
import type { RedisLeasesOptions } from '../../../src/stores/leases/redis.ts'
import { reapLeases } from '../../../src/stores/leases/redis-reaper.ts'
import { connectRedis } from '../../../src/stores/redis/client.ts'
import { pythonField, redisKeys } from '../../../src/stores/redis/keys.ts'
import { eventually } from '../../helpers/eventually.ts'
import { type RedisServer, startRedis } from '../../helpers/programs/redis-server.ts'
import { leaseRequest, taken } from '../lease-requests.ts'
import { type OpenedLeases, openLeases } from './open-leases.ts'

let server: RedisServer

before(async () => {
  server = await startRedis()
})
beforeEach(() => server.redis.flushall())
after(() => server.stop())

const linkTo = (port: number) =>
  connectRedis({ url: undefined, host: '127.0.0.1', port, db: 0, password: undefined }, 400)

function open(
  t: TestContext,
  options: Partial<RedisLeasesOptions> = {},
  port = server.port,
): Promise<OpenedLeases> {
  const times = { ttlMs: 1_000, heartbeatMs: 100, outageMs: 200 }
  return openLeases(t, { link: linkTo(port), whenDown: 'local', ...times, ...options })
}

/** The token that holds the first slot of the target; null if all are free. */
const leaseOf = async (id: string): Promise<string | null> =>
  (await server.redis.zrange(redisKeys.leases('m', id), '0', '0'))[0] ?? null

test('a lease is kept beyond its expiry as long as its process runs', async (t) => {
  const { store } = await open(t)
  await store.acquire(leaseRequest('m', ['a']))
  const key = redisKeys.leases('m', 'a')
  const [first, expiresAt] = await server.redis.zrange(key, '0', '0', 'WITHSCORES')
  const isExpired = async () => {
    const [seconds, microseconds] = await server.redis.time()
    return Number(seconds) * 1_000 + Number(microseconds) / 1_000 > Number(expiresAt)
  }
  await eventually(isExpired)
  assert.equal(await taken((await open(t, { worker: 'w2' })).store, leaseRequest('m', ['a'])), undefined)
  assert.equal(await leaseOf('a'), first)
})

test('all leases of a process are renewed by one command', async (t) => {
  const { store } = await open(t)
  for (let index = 0; index < 8; index++)
    await store.acquire(leaseRequest('m', ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']))
  const monitor = await server.redis.monitor()
  t.after(() => monitor.disconnect())
  const calls: { at: number; args: string[] }[] = []
  const scriptKeys = redisKeys.owned('w1')
  monitor.on('monitor', (_time: string, args: string[], source: string) => {
    if (source !== 'lua' && args.includes(scriptKeys)) calls.push({ at: performance.now(), args })
  })
  await eventually(() => calls.length >= 3)
  for (const { args } of calls)
    for (const id of 'abcdefgh') assert.ok(args.includes(redisKeys.leases('m', id)))
})

test('after FLUSHALL the holder has its lease again within one heartbeat, with a higher fencing token', async (t) => {
  const { store, warnings } = await open(t)
  const lease = (await store.acquire(leaseRequest('m', ['a']))) ?? assert.fail('taken')
  await server.redis.flushall()
  const token = await eventually(() => leaseOf('a'))
  assert.equal(token, `w1-${lease.key}`)
  const owned = (await server.redis.hget(redisKeys.owned('w1'), token)) ?? assert.fail('not owned')
  assert.ok(Number(JSON.parse(owned).fence) > lease.fence)
  assert.equal(await taken((await open(t, { worker: 'w2' })).store, leaseRequest('m', ['a'])), undefined)
  await store.release(lease)
  assert.equal(await leaseOf('a'), null)
  assert.deepEqual(warnings, [])
})

test('a lease that another process took over is counted as revoked once, and stays with the other process', async (t) => {
  const { store, warnings } = await open(t)
  const lease = (await store.acquire(leaseRequest('m', ['a']))) ?? assert.fail('taken')
  const other = (await open(t, { worker: 'w2' })).store
  await server.redis.eval('redis.call("DEL", KEYS[1])', 1, redisKeys.leases('m', 'a'))
  const theirs = await eventually(async () => {
    // The holder may have registered its lease again in between.
    await server.redis.del(redisKeys.leases('m', 'a'))
    return await other.acquire(leaseRequest('m', ['a']))
  })
  await eventually(() => store.counts.revoked > 0)
  await store.release(lease)
  assert.equal(store.counts.revoked, 1)
  assert.equal(warnings.length, 1)
  assert.match((await leaseOf('a')) ?? '', new RegExp(`^w2-${theirs.key}$`))
})

test('a request whose response from Redis was lost finds its lease when it asks again', async (t) => {
  const { store } = await open(t, { outageMs: 60_000 })
  const request = leaseRequest('m', ['a', 'b'])
  server.process.kill('SIGSTOP')
  await assert.rejects(store.acquire(request), { name: 'StoreDownError' })
  server.process.kill('SIGCONT')
  assert.equal(await taken(store, request), 'a')
  assert.equal(await leaseOf('b'), null)
})

test('a request that gave up while Redis was frozen leaves no lease behind', async (t) => {
  const { store } = await open(t, { outageMs: 60_000, ttlMs: 60_000 })
  const request = leaseRequest('m', ['a'])
  server.process.kill('SIGSTOP')
  await assert.rejects(store.acquire(request), { name: 'StoreDownError' })
  await store.abandon(request)
  server.process.kill('SIGCONT')
  assert.equal(await taken((await open(t, { worker: 'w2' })).store, leaseRequest('m', ['a'])), 'a')
})

test('a delayed duplicate of an acquire takes nothing for a request that gave up', async (t) => {
  const { store } = await open(t)
  const request = leaseRequest('m', ['a'])
  await store.abandon(request)
  assert.equal(await store.acquire(request), undefined)
  assert.equal(await taken(store, leaseRequest('m', ['a'])), 'a')
})

test('a release that did not reach Redis is repeated when Redis is back', async (t) => {
  const { store } = await open(t, { outageMs: 60_000, ttlMs: 60_000 })
  const lease = (await store.acquire(leaseRequest('m', ['a']))) ?? assert.fail('taken')
  server.process.kill('SIGSTOP')
  await store.release(lease)
  server.process.kill('SIGCONT')
  await eventually(async () => (await leaseOf('a')) === null)
})

test('without Redis leases are exclusive within the process after the hold time, and registered in Redis later', async (t) => {
  const own = await startRedis()
  const { store, warnings } = await open(t, {}, own.port)
  await own.stop()
  const request = leaseRequest('m', ['a'])
  await assert.rejects(store.acquire(request), { name: 'StoreDownError' })
  const lease = await eventually(() => store.acquire(request).catch(() => undefined))
  assert.equal(lease.fence, 0)
  assert.equal(await store.acquire(leaseRequest('m', ['a'])), undefined)
  assert.equal(store.counts.local, 1)
  assert.equal(warnings[0], 'Redis is unavailable')
  const back = await startRedis(own.port)
  t.after(() => back.stop())
  await eventually(async () => (await back.redis.zcard(redisKeys.leases('m', 'a'))) > 0)
  assert.equal(await store.acquire(leaseRequest('m', ['a'])), undefined)
  await store.release(lease)
  assert.equal(await taken(store, leaseRequest('m', ['a'])), 'a')
})

test('a lease granted and released while Redis is unreachable can be granted again', async (t) => {
  const { store } = await open(t, { outageMs: 0 }, 1)
  const lease = (await store.acquire(leaseRequest('m', ['a']))) ?? assert.fail('taken')
  assert.equal(await store.acquire(leaseRequest('m', ['a'])), undefined)
  const notified: string[] = []
  store.onFreed((model) => notified.push(model))
  await store.release(lease)
  assert.ok(notified.includes('m'), 'waiting requests were not woken')
  assert.ok(await store.acquire(leaseRequest('m', ['a'])))
})

test('without Redis in reject mode the client gets a 503 after the hold time', async (t) => {
  const { store } = await open(t, { whenDown: 'reject', outageMs: 0 }, 1)
  await assert.rejects(store.acquire(leaseRequest('m', ['a'])), {
    name: 'RouterError',
    status: 503,
    code: 'lease_store_down',
  })
})

test('a Redis without the cached scripts causes no error', async (t) => {
  const { store, warnings } = await open(t)
  await server.redis.script('FLUSH')
  assert.equal(await taken(store, leaseRequest('m', ['a'])), 'a')
  assert.deepEqual(warnings, [])
})

test('a primary frees the leases of its dead worker, and delayed acquires of that worker are not granted', async (t) => {
  const link = linkTo(server.port)
  t.after(() => link.close())
  const { store: dead } = await open(t, { worker: 'dead', heartbeatMs: 60_000 })
  const { store: living } = await open(t, { worker: 'living' })
  await dead.acquire(leaseRequest('m', ['a']))
  await dead.acquire(leaseRequest('n', ['b']))
  await living.acquire(leaseRequest('m', ['c']))
  await reapLeases(link, 'dead')
  assert.equal(await dead.acquire(leaseRequest('m', ['d'])), undefined)
  assert.equal(await taken(living, leaseRequest('m', ['a', 'c'])), 'a')
  assert.equal(await taken(living, leaseRequest('m', ['c'])), undefined)
  assert.equal(await taken(living, leaseRequest('n', ['b'])), 'b')
})

test("the Python router sees this router's leases in its hash, as long as they last", async (t) => {
  const { store } = await open(t)
  const [key, field] = ['model:google_gemma-3', 'vllm_gpu_1']
  const lease = (await store.acquire(leaseRequest('google/gemma-3', ['vllm gpu:1']))) ?? assert.fail('taken')
  assert.equal(await server.redis.hget(redisKeys.python('google/gemma-3'), `${field}:is_chosen`), 'true')
  assert.equal(redisKeys.python('google/gemma-3'), key.replaceAll('-', '_'))
  await store.release(lease)
  assert.deepEqual(await server.redis.hgetall(redisKeys.python('google/gemma-3')), {})
})

test('a target that a Python router has taken is not leased, and one that it freed is', async (t) => {
  const { store } = await open(t)
  await server.redis.hset('model:m', 'a:is_chosen', 'true', 'b:is_chosen', 'false')
  assert.equal(await taken(store, leaseRequest('m', ['a', 'b'])), 'b')
  assert.equal(await taken(store, leaseRequest('m', ['a'])), undefined)
  await server.redis.hset('model:m', 'a:is_chosen', 'false')
  assert.equal(await taken(store, leaseRequest('m', ['a'])), 'a')
})

test('the field that a crashed process left in the Python hash does not block the target', async (t) => {
  const { store } = await open(t)
  await store.acquire(leaseRequest('m', ['a']))
  const { store: other } = await open(t, { worker: 'w2' })
  await server.redis.hset('model:m', 'b:is_chosen', 'true', 'b:lease', 'crashed-token')
  assert.equal(await taken(other, leaseRequest('m', ['b'])), 'b')
})

test("a Python router that clears its hash at startup does not end this router's leases", async (t) => {
  const { store } = await open(t)
  await store.acquire(leaseRequest('m', ['a']))
  await server.redis.hset('model:m', 'a:is_chosen', 'false')
  assert.equal(await taken(store, leaseRequest('m', ['a'])), undefined)
  await eventually(async () => (await server.redis.hget('model:m', 'a:is_chosen')) === 'true')
})

test('a provider without an id uses its address as its field, as in the Python router', () => {
  assert.equal(pythonField('gemma@3f1c09aa#0', 'http://gpu-1:8000'), 'http___gpu_1_8000')
  assert.equal(pythonField('vllm-1', 'http://gpu-1:8000'), 'vllm_1')
})
