import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { RedisFleetBus } from '../../../src/stores/fleet/redis.ts'
import type { FleetMessage } from '../../../src/stores/fleet/store.ts'
import { RedisLeases } from '../../../src/stores/leases/redis.ts'
import { reapLeases } from '../../../src/stores/leases/redis-reaper.ts'
import { RedisLimits } from '../../../src/stores/limits/redis.ts'
import { connectListening, connectRedis } from '../../../src/stores/redis/client.ts'
import type { RedisAddress } from '../../../src/stores/redis/connection.ts'
import { redisKeys } from '../../../src/stores/redis/keys.ts'
import { RedisResponses } from '../../../src/stores/responses/redis.ts'
import { eventually } from '../../helpers/eventually.ts'
import { type RedisCluster, startRedisCluster } from '../../helpers/programs/redis-cluster.ts'
import { underLoad } from '../../redis/under-load.ts'
import { createDocumentedUser, documentedClusterRights, documentedPassword } from '../documented-user.ts'
import { freed, leaseRequest, taken } from '../lease-requests.ts'

let cluster: RedisCluster
let url: string
let address: RedisAddress
const now = () => performance.now()
const log = {
  info: () => undefined,
  warn: (details: object, message: string) => assert.fail(`${message} ${JSON.stringify(details)}`),
}

before(async () => {
  cluster = await startRedisCluster()
  const rights = documentedClusterRights()
  await Promise.all(cluster.nodes.map(({ redis }) => createDocumentedUser(redis, rights)))
  url = cluster.url.replace('://', `://llm-router:${documentedPassword}@`)
  address = { url, host: '', port: 0, db: 0, password: undefined }
})
after(() => cluster.stop())

async function openLeases(t: TestContext, worker: string): Promise<RedisLeases> {
  const link = connectRedis(address, 2_000)
  const store = new RedisLeases({ link, worker, heartbeatMs: 50, whenDown: 'reject', now, log })
  t.after(() => store.close())
  await store.started()
  return store
}

test('in a cluster leases of several models are exclusive among processes, and each is notified of releases', async (t) => {
  const [one, two] = [await openLeases(t, 'w1'), await openLeases(t, 'w2')]
  const leases = []
  for (const model of ['m', 'n', 'o{p}'])
    leases.push((await one.acquire(leaseRequest(model, ['a'], { affinity: true }))) ?? assert.fail(model))
  for (const { model } of leases) assert.equal(await taken(two, leaseRequest(model, ['a'])), undefined)
  for (const lease of leases) {
    const notified = freed(two, lease.model)
    // The subscription may not be active yet: releases after that are received.
    for (let isHeard = false; !isHeard; ) {
      await one.release(lease)
      await one.abandon(leaseRequest(lease.model, ['a']))
      isHeard = await Promise.race([
        notified.then(() => true),
        new Promise<false>((resolve) => setTimeout(resolve, 50, false)),
      ])
    }
    assert.equal(await taken(two, leaseRequest(lease.model, ['a'])), 'a')
  }
  const owners = await Promise.all(cluster.nodes.map(({ redis }) => redis.keys('model:*')))
  assert.deepEqual(owners.flat(), [], 'the hash of the Python version is not written')
})

test('in a cluster a primary frees the leases of its dead worker', async (t) => {
  const link = connectRedis(address, 2_000)
  t.after(() => link.close())
  const [dead, living] = [await openLeases(t, 'dead'), await openLeases(t, 'living')]
  await dead.acquire(leaseRequest('reaped', ['a']))
  await eventually(() => link.commands.status === 'ready')
  await reapLeases(link, 'dead')
  assert.equal(await taken(living, leaseRequest('reaped', ['a'])), 'a')
})

test("in a cluster limits and stored responses are shared, and routers receive each other's notifications", async (t) => {
  // On a busy machine it may take several attempts to connect, each limited to half a second.
  const options = { address, now, log: { info: () => undefined, warn: () => undefined } }
  const limits = [0, 1].map(() => new RedisLimits(options))
  const bounds = { ttlMs: 60_000, maxCount: 2, maxBytes: 1_000 }
  const responses = [0, 1].map(() => new RedisResponses({ ...bounds, ...options }))
  const buses = ['r1', 'r2'].map((router) => {
    const link = connectListening(address, ['acquire-leadership', 'release-leadership'] as const)
    return new RedisFleetBus({ link, router, now, log })
  })
  t.after(() => Promise.all([...limits, ...responses, ...buses].map((store) => store.close())))
  const isAnswered = (asked: Promise<unknown>): Promise<boolean> =>
    asked.then(
      () => true,
      () => false,
    )
  for (const store of limits) await eventually(() => isAnswered(store.read({ key: 'none', limits: {} })))
  for (const store of responses) await eventually(() => isAnswered(store.find('none')))
  for (const key of ['k1', 'k2', 'k3']) {
    const request = { key, limits: { concurrent: 1, requests: 5, tokens: 100 } }
    assert.equal((await limits[0]?.admit({ ...request, ticket: 't1' }))?.rejectedBy, undefined)
    assert.equal((await limits[1]?.admit({ ...request, ticket: 't2' }))?.rejectedBy, 'concurrent')
  }
  await responses[0]?.put('r', { response: { id: 'r' }, input: [] })
  assert.equal((await responses[1]?.find('r'))?.response.id, 'r')
  const heard = Promise.withResolvers<FleetMessage>()
  for (const bus of buses) bus.onMessage((message) => heard.resolve(message))
  await eventually(() => buses.every(({ role }) => role !== 'alone'))
  assert.deepEqual(buses.map(({ role }) => role).toSorted(), ['follower', 'leader'])
  const speaking = setInterval(() => buses[0]?.publish({ type: 'demand', models: {} }), 20)
  t.after(() => clearInterval(speaking))
  assert.deepEqual(await heard.promise, { type: 'demand', models: {} })
})

test('a cluster node configured as a single server is reported in the log with the right setting', async (t) => {
  const { port } = cluster.nodes[0] ?? assert.fail()
  const single = { url: undefined, host: '127.0.0.1', port, db: 0, password: undefined }
  const said: object[] = []
  const responses = new RedisResponses({
    ttlMs: 60_000,
    maxCount: 2,
    maxBytes: 1_000,
    address: single,
    now,
    log: { info: () => undefined, warn: (details) => void said.push(details) },
  })
  t.after(() => responses.close())
  await assert.rejects(responses.find('r'), { name: 'StoreDownError' })
  assert.match(
    JSON.stringify(said),
    /it is a node of a cluster, which LLM_ROUTER_REDIS_URL names as redis\+cluster/,
  )
})

test('after a master of the cluster is killed, requests succeed, and no target is leased twice', async (t) => {
  const { statuses, most, logs } = await underLoad(t, { LLM_ROUTER_REDIS_URL: url }, async () => {
    const key = `llm-router:{leases}:${redisKeys.fence('m')}`
    const master = await cluster.ownerOf(key)
    master.process.kill('SIGKILL')
    await eventually(async () => (await cluster.ownerOf(key).catch(() => master)) !== master)
  })
  assert.deepEqual([...statuses], [200])
  assert.equal(most, 1)
  const said = logs.filter(({ msg }) => /leases are not shared with the Python/.test(String(msg)))
  assert.equal(said.length, 2, 'each router logs it at startup')
})
