import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { WorkerChannels } from '../../src/lib/worker-channels.ts'
import type { KeyLimits } from '../../src/sdk/client-key.ts'
import { clusterLimits, serveLimits } from '../../src/stores/limits/cluster.ts'
import { memoryLimits } from '../../src/stores/limits/memory.ts'
import { RedisLimits } from '../../src/stores/limits/redis.ts'
import {
  type LimitDemand,
  type LimitedRequest,
  type LimitStore,
  limitsWithFallback,
} from '../../src/stores/limits/store.ts'
import type { RedisAddress } from '../../src/stores/redis/connection.ts'
import type { StoreLog } from '../../src/stores/store.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { addWorker, endWorker } from './process-pipes.ts'
import { openTestRedis, type TestRedis } from './test-redis.ts'

interface Kind {
  name: string
  start(): Promise<void>
  /** Fresh stores that share their counts, as in two processes; one store if sharing is not possible. */
  open(): Promise<LimitStore[]>
  stop(): Promise<void>
}

const now = () => performance.now()
const nothing = async (): Promise<void> => undefined
const silent: StoreLog = { info: () => undefined, warn: () => undefined }

const memory: Kind = { name: 'memory', start: nothing, open: async () => [memoryLimits(now)], stop: nothing }

const primary: Kind = {
  name: 'counted by the primary',
  start: nothing,
  open: async () => workersOf(new WorkerChannels()),
  stop: nothing,
}

function workersOf(workers: WorkerChannels): LimitStore[] {
  serveLimits(workers, now)
  return ['1', '2'].map((id) => clusterLimits(addWorker(workers, id)))
}

function redis(): Kind {
  let server: TestRedis
  const opened: LimitStore[] = []
  return {
    name: 'Redis',
    async start() {
      server = await openTestRedis()
    },
    async open() {
      await server.flush()
      const stores = [0, 1].map(() => limitsAt(server.address))
      opened.push(...stores)
      return stores
    },
    async stop() {
      for (const store of opened) await store.close()
      await server.stop()
    },
  }
}

function redisLimits({ port }: { port: number }, ttlMs?: number): RedisLimits {
  return limitsAt({ url: undefined, host: '127.0.0.1', port, db: 0, password: undefined }, ttlMs)
}

function limitsAt(address: RedisAddress, ttlMs?: number): RedisLimits {
  return new RedisLimits({ address, now, log: silent, ...(ttlMs === undefined ? {} : { ttlMs }) })
}

let tickets = 0

function limitedRequest(limits: KeyLimits, key = 'k'): LimitedRequest {
  return { key, ticket: `t${++tickets}`, limits }
}

type Demand = Partial<Pick<LimitDemand, 'tokens' | 'requests' | 'slots'>>

/** Admits a request and reserves what it needs. */
async function reserve(store: LimitStore | undefined, limits: KeyLimits, demand: Demand) {
  assert.ok(store)
  const request = limitedRequest(limits)
  const { rejectedBy } = await store.admit(request)
  assert.equal(rejectedBy, undefined, 'not admitted')
  const verdict = await store.reserve({ ...request, tokens: 0, requests: 1, slots: 1, ...demand })
  if (verdict.rejectedBy !== undefined) await store.settle({ ...request, tokens: 0, undone: true })
  return { request, verdict }
}

/** Of `count` concurrent requests, spread over the stores: those admitted, and why the others were not. */
async function burst(stores: LimitStore[], count: number, limits: KeyLimits) {
  const asked = Array.from({ length: count }, () => limitedRequest(limits))
  const verdicts = await Promise.all(
    asked.map((each, index) => stores[index % stores.length]?.admit(each) ?? assert.fail()),
  )
  const admitted = asked.filter((_request, index) => verdicts[index]?.rejectedBy === undefined)
  return { admitted, reasons: new Set(verdicts.map(({ rejectedBy }) => rejectedBy)), verdicts }
}

for (const kind of [memory, primary, redis()]) {
  describe(`limits of keys: ${kind.name}`, () => {
    before(() => kind.start())
    after(() => kind.stop())

    test('S28 in a burst no more requests run at a time than the limit, and each end admits one more', async () => {
      const stores = await kind.open()
      const limits = { concurrent: 4 }
      const { admitted, reasons } = await burst(stores, 50, limits)
      assert.equal(admitted.length, 4)
      assert.deepEqual(reasons, new Set([undefined, 'concurrent']))
      for (const each of admitted.slice(0, 2)) await stores[0]?.settle({ ...each, tokens: 0 })
      assert.equal((await burst(stores, 50, limits)).admitted.length, 2)
    })

    test('S28 in a burst no more requests start within a minute than the limit, whether they have ended or not', async () => {
      const stores = await kind.open()
      const limits = { requests: 7 }
      const { admitted, verdicts } = await burst(stores, 40, limits)
      assert.equal(admitted.length, 7)
      for (const each of admitted) await stores.at(-1)?.settle({ ...each, tokens: 0 })
      const refused = await stores[0]?.admit(limitedRequest(limits))
      assert.equal(refused?.rejectedBy, 'requests')
      assert.ok(refused.waitMs > 50_000 && refused.waitMs <= 60_000, `${refused.waitMs}`)
      assert.equal(refused.requests?.left, 0)
      assert.deepEqual(
        verdicts
          .filter(({ rejectedBy }) => rejectedBy === undefined)
          .map(({ requests }) => requests?.left)
          .toSorted(),
        [0, 1, 2, 3, 4, 5, 6],
      )
    })

    test('tokens used beyond the limit delay the next request accordingly', async () => {
      const [store = assert.fail()] = await kind.open()
      const limits = { tokens: 6000 }
      const first = limitedRequest(limits)
      assert.equal((await store.admit(first)).tokens?.left, 6000)
      await store.settle({ ...first, tokens: 12_000 })
      const refused = await store.admit(limitedRequest(limits))
      assert.equal(refused.rejectedBy, 'tokens')
      // 6,000 too many, at 100 a second.
      assert.ok(refused.waitMs > 55_000 && refused.waitMs <= 60_011, `${refused.waitMs}`)
      assert.equal(refused.tokens?.left, 0)
    })

    test('remaining tokens admit requests', async () => {
      const stores = await kind.open()
      const limits = { tokens: 6000 }
      const first = limitedRequest(limits)
      await stores[0]?.admit(first)
      await stores[0]?.settle({ ...first, tokens: 5000 })
      const second = await stores.at(-1)?.admit(limitedRequest(limits))
      assert.equal(second?.rejectedBy, undefined)
      assert.ok((second?.tokens?.left ?? 0) >= 1000 && (second?.tokens?.left ?? 0) < 3000)
    })

    test('in a burst no more tokens are reserved than available, and unused ones are available again', async () => {
      const stores = await kind.open()
      const limits = { tokens: 6000 }
      const tries = await Promise.all(
        Array.from({ length: 60 }, async (_, index) => {
          const store = stores[index % stores.length] ?? assert.fail()
          const request = limitedRequest(limits)
          if ((await store.admit(request)).rejectedBy !== undefined) return undefined
          const verdict = await store.reserve({ ...request, tokens: 600, requests: 1, slots: 1 })
          if (verdict.rejectedBy === undefined) return request
          assert.ok(verdict.waitMs > 0 && verdict.waitMs <= 6_010, `${verdict.waitMs}`)
          await store.settle({ ...request, tokens: 0, undone: true })
          return undefined
        }),
      )
      const granted = tries.filter((request) => request !== undefined)
      assert.equal(granted.length, 10)
      for (const request of granted) await stores[0]?.settle({ ...request, tokens: 100 })
      const { verdict } = await reserve(stores.at(-1), limits, { tokens: 600 })
      assert.equal(verdict.rejectedBy, undefined)
      const left = verdict.tokens?.left ?? 0
      assert.ok(left >= 4400 && left < 5400, `${left}`)
    })

    test('reserved tokens are unavailable to others, and are returned once', async () => {
      const [store = assert.fail()] = await kind.open()
      const limits = { tokens: 600 }
      const { request, verdict } = await reserve(store, limits, { tokens: 600 })
      assert.equal(verdict.tokens?.left, 0)
      assert.ok((verdict.tokens?.fullInMs ?? 0) > 59_000)
      const refused = await store.admit(limitedRequest(limits))
      assert.equal(refused.rejectedBy, 'tokens')
      await store.settle({ ...request, tokens: 0 })
      await store.settle({ ...request, tokens: 0 })
      assert.equal((await reserve(store, limits, { tokens: 500 })).verdict.rejectedBy, undefined)
      assert.equal((await reserve(store, limits, { tokens: 500 })).verdict.rejectedBy, 'tokens')
    })

    test('a reservation above the limit is granted if nothing is reserved or owed, and leaves an overdraft', async () => {
      const stores = await kind.open()
      const limits = { tokens: 6000 }
      const small = await reserve(stores[0], limits, { tokens: 100 })
      assert.equal((await reserve(stores.at(-1), limits, { tokens: 9000 })).verdict.rejectedBy, 'tokens')
      await stores[0]?.settle({ ...small.request, tokens: 3000 })
      const large = await reserve(stores.at(-1), limits, { tokens: 9000 })
      assert.equal(large.verdict.rejectedBy, undefined)
      assert.equal(large.verdict.tokens?.left, 0)
      assert.equal((await stores[0]?.admit(limitedRequest(limits)))?.rejectedBy, 'tokens')
      await stores.at(-1)?.settle({ ...large.request, tokens: 9000 })
      const next = await stores[0]?.admit(limitedRequest(limits))
      assert.equal(next?.rejectedBy, 'tokens')
      // 6,000 owed, at 100 a second.
      assert.ok((next?.waitMs ?? 0) > 50_000 && (next?.waitMs ?? 0) <= 60_011, `${next?.waitMs}`)
    })

    test('a request that becomes several counts as that many, and those that were not sent are returned', async () => {
      const stores = await kind.open()
      const limits = { requests: 10 }
      const { request, verdict } = await reserve(stores[0], limits, { requests: 7 })
      assert.equal(verdict.requests?.left, 3)
      const refused = await reserve(stores.at(-1), limits, { requests: 5 })
      assert.equal(refused.verdict.rejectedBy, 'requests')
      assert.ok(refused.verdict.waitMs > 50_000 && refused.verdict.waitMs <= 60_000)
      assert.equal((await reserve(stores.at(-1), limits, { requests: 2 })).verdict.requests?.left, 1)
      await stores[0]?.settle({ ...request, tokens: 0, requests: 2 })
      assert.equal((await reserve(stores[0], limits, { requests: 6 })).verdict.requests?.left, 0)
      assert.equal((await stores[0]?.admit(limitedRequest(limits)))?.rejectedBy, 'requests')
    })

    test('a request gets as many slots as are free, at least one, and releases all of them', async () => {
      const stores = await kind.open()
      const limits = { concurrent: 5 }
      const first = await reserve(stores[0], limits, { slots: 3 })
      const second = await reserve(stores.at(-1), limits, { slots: 3 })
      assert.deepEqual([first.verdict.slots, second.verdict.slots], [3, 2])
      assert.equal((await stores[0]?.admit(limitedRequest(limits)))?.rejectedBy, 'concurrent')
      await stores[0]?.settle({ ...first.request, tokens: 0 })
      assert.equal((await reserve(stores.at(-1), limits, { slots: 9 })).verdict.slots, 3)
      await stores.at(-1)?.settle({ ...second.request, tokens: 0 })
      const [third, fourth] = [
        await reserve(stores.at(-1), limits, {}),
        await reserve(stores.at(-1), limits, { slots: 2 }),
      ]
      assert.deepEqual([third.verdict.slots, fourth.verdict.slots], [1, 1])
    })

    test('a request not yet admitted is admitted together with its reservation, in one step', async () => {
      const stores = await kind.open()
      const limits = { concurrent: 4, requests: 5, tokens: 1_000 }
      const demand = { tokens: 400, requests: 2, slots: 2 }
      const take = (changes: Demand = {}) => {
        const request = limitedRequest(limits)
        const store = stores.at(-1) ?? assert.fail()
        return store.reserve({ ...request, ...demand, ...changes }).then((got) => ({ ...got, request }))
      }
      const first = await take()
      assert.deepEqual([first.rejectedBy, first.slots, first.requests?.left], [undefined, 2, 3])
      assert.equal((await take({ tokens: 700 })).rejectedBy, 'tokens')
      assert.equal((await take({ requests: 4 })).rejectedBy, 'requests')
      const second = await take({ slots: 3, requests: 3 })
      assert.deepEqual([second.rejectedBy, second.slots, second.requests?.left], [undefined, 2, 0])
      assert.equal((await take()).rejectedBy, 'concurrent')
      for (const { request } of [first, second]) await stores[0]?.settle({ ...request, tokens: 0 })
      assert.equal((await take()).rejectedBy, 'requests')
    })

    test('a request that is rejected or undone is not counted', async () => {
      const [store = assert.fail()] = await kind.open()
      const limits = { concurrent: 1, requests: 2 }
      const first = limitedRequest(limits)
      await store.admit(first)
      assert.equal((await store.admit(limitedRequest(limits))).rejectedBy, 'concurrent')
      await store.settle({ ...first, tokens: 0, undone: true })
      const { requests } = await store.admit(limitedRequest(limits))
      assert.equal(requests?.left, 1)
    })

    test('a slot that is released twice is one slot', async () => {
      const [store = assert.fail()] = await kind.open()
      const limits = { concurrent: 2 }
      const { admitted } = await burst([store], 2, limits)
      const [first = assert.fail()] = admitted
      await store.settle({ ...first, tokens: 0 })
      await store.settle({ ...first, tokens: 0 })
      assert.equal((await burst([store], 5, limits)).admitted.length, 1)
    })

    test('one key is not charged for another', async () => {
      const [store = assert.fail()] = await kind.open()
      const limits = { concurrent: 1, requests: 1, tokens: 1 }
      assert.equal((await store.admit(limitedRequest(limits, 'a'))).rejectedBy, undefined)
      assert.equal((await store.admit(limitedRequest(limits, 'b'))).rejectedBy, undefined)
    })
  })
}

test('requests and tokens are available again a minute later', async () => {
  let at = 0
  const store = memoryLimits(() => at)
  const limits = { requests: 2, tokens: 600 }
  const [first, second] = [limitedRequest(limits), limitedRequest(limits)]
  await store.admit(first)
  at = 10_000
  await store.admit(second)
  await store.settle({ ...first, tokens: 650 })
  at = 14_999
  assert.equal((await store.admit(limitedRequest(limits))).rejectedBy, 'requests')
  at = 60_000
  const next = await store.admit(limitedRequest(limits))
  assert.deepEqual([next.rejectedBy, next.requests?.left, next.tokens?.left], [undefined, 0, 450])
  at = 1_000_000
  assert.equal((await store.admit(limitedRequest(limits))).tokens?.left, 600)
})

test('the slots of an exited worker are free immediately, and its last messages take none', async () => {
  const workers = new WorkerChannels()
  const [one = assert.fail(), two = assert.fail()] = workersOf(workers)
  const limits = { concurrent: 3 }
  await burst([one], 3, limits)
  assert.equal((await two.admit(limitedRequest(limits))).rejectedBy, 'concurrent')
  endWorker(workers, '1')
  void one.admit(limitedRequest(limits))
  assert.equal((await burst([two], 5, limits)).admitted.length, 3)
})

test('the reservations of an exited worker are released immediately', async () => {
  const workers = new WorkerChannels()
  const [one = assert.fail(), two = assert.fail()] = workersOf(workers)
  const limits = { tokens: 600, concurrent: 4 }
  await reserve(one, limits, { tokens: 600, slots: 4 })
  assert.notEqual((await two.admit(limitedRequest(limits))).rejectedBy, undefined)
  endWorker(workers, '1')
  assert.equal((await reserve(two, limits, { tokens: 600 })).verdict.tokens?.left, 0)
})

test('in Redis the reservations of a dead process expire, and those of a running one do not', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  const limits = { tokens: 1_000, concurrent: 10 }
  const dead = redisLimits(server, 1_000)
  const living = redisLimits(server, 1_000)
  t.after(() => living.close())
  await reserve(dead, limits, { tokens: 600, slots: 4 })
  await reserve(living, limits, { tokens: 100, slots: 5 })
  await dead.close()
  // Redis shows when the dead process's reservation has expired: then all but what the running one holds is free.
  const freed = await eventually(async () => {
    const { verdict } = await reserve(living, limits, { tokens: 900, slots: 9 })
    return verdict.rejectedBy === undefined && verdict
  })
  assert.deepEqual([freed.tokens?.left, freed.slots], [0, 5])
  const { total, ...others } = await server.redis.hgetall('{k:k}:reserved')
  assert.equal(total, '1000')
  assert.equal(Object.keys(others).length, 2)
})

test('in Redis the slots of a dead process expire, and those of a running one stay', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  const limits = { concurrent: 2 }
  const dead = redisLimits(server, 1_000)
  const living = redisLimits(server, 1_000)
  t.after(() => living.close())
  await dead.admit(limitedRequest(limits))
  await living.admit(limitedRequest(limits))
  await dead.close()
  // Redis shows when the dead process's slot has expired: only then one is free, and no second one.
  await eventually(async () => (await living.admit(limitedRequest(limits))).rejectedBy === undefined)
  assert.equal((await living.admit(limitedRequest(limits))).rejectedBy, 'concurrent')
})

test('while Redis is unreachable each process enforces the limits itself, and counts running requests', async (t) => {
  const server = await startRedis()
  const store = limitsWithFallback(redisLimits(server), memoryLimits(now))
  t.after(() => store.close())
  const limits = { concurrent: 3 }
  assert.equal((await burst([store], 2, limits)).admitted.length, 2)
  await server.stop()
  const { admitted } = await burst([store], 10, limits)
  assert.equal(admitted.length, 1)
  for (const each of admitted) await store.settle({ ...each, tokens: 0 })
  assert.equal((await burst([store], 10, limits)).admitted.length, 1)
})

test('a request that Redis rejects takes no slot in the process', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  const stores = [0, 1].map(() => limitsWithFallback(redisLimits(server), memoryLimits(now)))
  t.after(() => Promise.all(stores.map((store) => store.close())))
  const [one = assert.fail(), two = assert.fail()] = stores
  const limits = { concurrent: 1, requests: 2 }
  const first = limitedRequest(limits)
  const take = async (store: LimitStore, request: LimitedRequest) => {
    await store.admit(request)
    const { rejectedBy } = await store.reserve({ ...request, tokens: 0, requests: 1, slots: 1 })
    if (rejectedBy !== undefined) await store.settle({ ...request, tokens: 0, undone: true })
    return rejectedBy
  }
  assert.equal(await take(one, first), undefined)
  assert.equal(await take(two, limitedRequest(limits)), 'concurrent')
  await one.settle({ ...first, tokens: 0 })
  // It does not wait for Redis. A slot that is still taken in the process would be taken forever.
  await eventually(async () => (await take(two, limitedRequest(limits))) === undefined)
})

test('while Redis is unreachable each process reserves tokens itself', async (t) => {
  const server = await startRedis()
  const store = limitsWithFallback(redisLimits(server), memoryLimits(now))
  t.after(() => store.close())
  const limits = { tokens: 600 }
  const first = await reserve(store, limits, { tokens: 300 })
  await server.stop()
  assert.equal((await reserve(store, limits, { tokens: 200 })).verdict.rejectedBy, undefined)
  assert.equal((await reserve(store, limits, { tokens: 200 })).verdict.rejectedBy, 'tokens')
  await store.settle({ ...first.request, tokens: 10 })
  assert.equal((await reserve(store, limits, { tokens: 200 })).verdict.rejectedBy, undefined)
})
