import assert from 'node:assert/strict'
import { after, before, beforeEach, type TestContext, test } from 'node:test'
import { RouterError } from '../../../src/sdk/errors.ts'
import type { RedisLeasesOptions } from '../../../src/stores/leases/redis.ts'
import { connectRedis } from '../../../src/stores/redis/client.ts'
import { redisKeys } from '../../../src/stores/redis/keys.ts'
import { eventually } from '../../helpers/eventually.ts'
import { type RedisServer, startRedis } from '../../helpers/programs/redis-server.ts'
import { leaseRequest } from '../lease-requests.ts'
import { openLeases } from './open-leases.ts'

let server: RedisServer

before(async () => {
  server = await startRedis()
})
beforeEach(() => server.redis.flushall())
after(() => server.stop())

function open(t: TestContext, options: Partial<RedisLeasesOptions> = {}) {
  const address = { url: undefined, host: '127.0.0.1', port: server.port, db: 0, password: undefined }
  return openLeases(t, { link: connectRedis(address), whenDown: 'reject', ...options })
}

/** Each breaks a key of the model `bad`. */
const breakages = {
  'the hash of the Python llm-router is a string': () => server.redis.set(redisKeys.python('bad'), 'x'),
  'the counter of fences is not a number': () => server.redis.set(redisKeys.fence('bad'), 'x'),
  'the waiting hosts are not JSON': () => server.redis.hset(redisKeys.waiting('bad'), 'host', 'x'),
  'the leases are a list': () => server.redis.rpush(redisKeys.leases('bad', 'a'), 'x'),
}

for (const [name, breakKey] of Object.entries(breakages))
  test(`a broken key stops only requests of its model: ${name}`, async (t) => {
    await breakKey()
    const { store, warnings } = await open(t)
    for (let count = 0; count < 5; count++)
      await assert.rejects(
        store.acquire(leaseRequest('bad', ['a'])),
        (error) => error instanceof RouterError && error.code === 'lease_store_down',
      )
    const lease = await store.acquire(leaseRequest('good', ['b']))
    assert.equal(lease?.target.id, 'b')
    assert.deepEqual(warnings, ['a key in Redis has content that is not from llm-router'])
  })

test('leases of other models are renewed while a key of one is broken', async (t) => {
  const { store } = await open(t, { heartbeatMs: 50 })
  await store.acquire(leaseRequest('bad', ['a']))
  await store.acquire(leaseRequest('good', ['b']))
  await server.redis.set(redisKeys.leases('bad', 'a'), 'x')
  const expiry = async () =>
    Number((await server.redis.zrange(redisKeys.leases('good', 'b'), '0', '0', 'WITHSCORES'))[1])
  for (let renewals = 0; renewals < 3; renewals++) {
    const before = await expiry()
    await eventually(async () => (await expiry()) > before)
  }
})
