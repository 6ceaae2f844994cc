import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { redisKeys } from '../../src/stores/redis/keys.ts'
import { eventually } from '../helpers/eventually.ts'
import { type ClusterNode, type RedisCluster, startRedisCluster } from '../helpers/programs/redis-cluster.ts'
import { underLoad } from './under-load.ts'

const key = `llm-router:{leases}:${redisKeys.fence('m')}`

async function open(t: TestContext): Promise<{ cluster: RedisCluster; env: Record<string, string> }> {
  const cluster = await startRedisCluster()
  t.after(() => cluster.stop())
  return { cluster, env: { LLM_ROUTER_REDIS_URL: cluster.url } }
}

/** Moves the slot of the leases, with all keys in it, while it is in use. */
async function moveSlot({ nodes, ownerOf }: RedisCluster, from: ClusterNode, to: ClusterNode): Promise<void> {
  const slot = await from.redis.cluster('KEYSLOT', key)
  await to.redis.cluster('SETSLOT', slot, 'IMPORTING', from.id)
  await from.redis.cluster('SETSLOT', slot, 'MIGRATING', to.id)
  for (;;) {
    const keys = await from.redis.cluster('GETKEYSINSLOT', slot, 1)
    if (keys.length === 0) break
    await from.redis.migrate('127.0.0.1', to.port, '', 0, 1_000, 'KEYS', ...keys)
  }
  const others = nodes.slice(0, 3).filter((node) => node !== to && node !== from)
  for (const { redis } of [to, from, ...others]) await redis.cluster('SETSLOT', slot, 'NODE', to.id)
  // Late gossip between the nodes about the previous state would undo the next move.
  for (const node of nodes) await eventually(async () => (await ownerOf(key, [node])) === to)
}

test('resharding: while the slot of the leases moves between masters, requests succeed and no target is leased twice', async (t) => {
  const { cluster, env } = await open(t)
  const owner = await cluster.ownerOf(key)
  const [other = assert.fail()] = cluster.nodes.slice(0, 3).filter((node) => node !== owner)
  const { statuses, most } = await underLoad(t, env, async () => {
    for (let round = 0; round < 5; round++) {
      await moveSlot(cluster, owner, other)
      await moveSlot(cluster, other, owner)
    }
    await moveSlot(cluster, owner, other)
  })
  assert.deepEqual([...statuses], [200])
  assert.equal(most, 1)
})

test('partition: a master that is cut off is replaced, and after its return serves no one as a master', async (t) => {
  const { cluster, env } = await open(t)
  const owner = await cluster.ownerOf(key)
  const { statuses, most } = await underLoad(t, env, async () => {
    owner.process.kill('SIGSTOP')
    await eventually(async () => (await cluster.ownerOf(key)) !== owner)
    owner.process.kill('SIGCONT')
  })
  assert.deepEqual([...statuses], [200])
  assert.equal(most, 1)
})

test('partition: a cluster that is frozen for less than the hold time fails no request', async (t) => {
  const { cluster, env } = await open(t)
  const { statuses, most } = await underLoad(t, env, async () => {
    for (const { process } of cluster.nodes) process.kill('SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    for (const { process } of cluster.nodes) process.kill('SIGCONT')
  })
  assert.deepEqual([...statuses], [200])
  assert.equal(most, 1)
})
