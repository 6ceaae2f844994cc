import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { WorkerChannels } from '../../src/lib/worker-channels.ts'
import type { RedisAddress } from '../../src/stores/redis/connection.ts'
import { clusterResponses, serveResponses } from '../../src/stores/responses/cluster.ts'
import { memoryResponses, type ResponseBounds } from '../../src/stores/responses/memory.ts'
import { RedisResponses } from '../../src/stores/responses/redis.ts'
import {
  type ResponseStore,
  responsesWithFallback,
  type StoredResponse,
} from '../../src/stores/responses/store.ts'
import type { StoreLog } from '../../src/stores/store.ts'
import { eventually } from '../helpers/eventually.ts'
import { startRedis } from '../helpers/programs/redis-server.ts'
import { addWorker } from './process-pipes.ts'
import { openTestRedis, type TestRedis } from './test-redis.ts'

interface Kind {
  name: string
  start(): Promise<void>
  /** Fresh stores that share their contents, as in two processes; one store if sharing is not possible. */
  open(bounds?: Partial<ResponseBounds>): Promise<ResponseStore[]>
  stop(): Promise<void>
}

const now = () => performance.now()
const nothing = async (): Promise<void> => undefined
const wide: ResponseBounds = { maxCount: 100, maxBytes: 100_000, ttlMs: 60_000 }
const silent: StoreLog = { info: () => undefined, warn: () => undefined }

function memory(): Kind {
  return {
    name: 'memory',
    start: nothing,
    open: async (bounds) => [memoryResponses({ ...wide, ...bounds }, now)],
    stop: nothing,
  }
}

function primary(): Kind {
  return {
    name: 'held by the primary',
    start: nothing,
    async open(bounds) {
      const workers = new WorkerChannels()
      serveResponses(workers, { ...wide, ...bounds }, now)
      return ['1', '2'].map((id) => clusterResponses(addWorker(workers, id)))
    },
    stop: nothing,
  }
}

function redis(): Kind {
  let server: TestRedis
  const opened: RedisResponses[] = []
  return {
    name: 'Redis',
    async start() {
      server = await openTestRedis()
    },
    async open(bounds) {
      await server.flush()
      const stores = [0, 1].map(() => storeAt(server.address, bounds))
      opened.push(...stores)
      return stores
    },
    async stop() {
      for (const store of opened) await store.close()
      await server.stop()
    },
  }
}

function redisStore(port: number, bounds: Partial<ResponseBounds> = {}, log = silent): RedisResponses {
  return storeAt({ url: undefined, host: '127.0.0.1', port, db: 0, password: undefined }, bounds, log)
}

function storeAt(address: RedisAddress, bounds: Partial<ResponseBounds> = {}, log = silent): RedisResponses {
  return new RedisResponses({ ...wide, ...bounds, address, now, log })
}

function stored(text = 'Hi'): StoredResponse {
  return { response: { id: 'r', output: [] }, input: [{ role: 'user', content: text }] }
}

async function known(store: ResponseStore, ...ids: string[]): Promise<string[]> {
  const found = await Promise.all(ids.map((id) => store.find(id)))
  return ids.filter((_id, index) => found[index] !== undefined)
}

for (const kind of [memory(), primary(), redis()]) {
  describe(`stored responses: ${kind.name}`, () => {
    before(() => kind.start())
    after(() => kind.stop())

    async function open(bounds?: Partial<ResponseBounds>): Promise<[ResponseStore, ResponseStore]> {
      const [one, two] = await kind.open(bounds)
      assert.ok(one)
      return [one, two ?? one]
    }

    test('a response is found by every process as it was stored', async () => {
      const [one, two] = await open()
      await one.put('a', stored('zażółć'))
      assert.deepEqual(await one.find('a'), stored('zażółć'))
      assert.deepEqual(await two.find('a'), stored('zażółć'))
      assert.equal(await two.find('b'), undefined)
    })

    test('the later of two responses with the same id is kept', async () => {
      const [one, two] = await open()
      await one.put('a', stored('old'))
      await two.put('a', stored('new'))
      assert.deepEqual(await one.find('a'), stored('new'))
    })

    test('a response is removed once, whichever process does it', async () => {
      const [one, two] = await open()
      await one.put('a', stored())
      assert.equal(await two.remove('a'), true)
      assert.equal(await one.remove('a'), false)
      assert.equal(await one.find('a'), undefined)
    })

    test('a response expires', async () => {
      const [one] = await open({ ttlMs: 1 })
      await one.put('a', stored())
      await eventually(async () => (await known(one, 'a')).length === 0)
      assert.equal(await one.remove('a'), false)
    })

    test('the least recently used response is evicted by count', async () => {
      const [one, two] = await open({ maxCount: 2 })
      await one.put('a', stored())
      await nextMillisecond()
      await one.put('b', stored())
      await nextMillisecond()
      await two.find('a')
      await nextMillisecond()
      await one.put('c', stored())
      assert.deepEqual(await known(two, 'a', 'b', 'c'), ['a', 'c'])
    })

    test('the least recently used response is evicted by size, and a removed one frees its bytes', async () => {
      const size = Buffer.byteLength(JSON.stringify(stored('é'.repeat(100))))
      const [one] = await open({ maxBytes: 2 * size })
      for (const id of ['a', 'b', 'c']) {
        await one.put(id, stored('é'.repeat(100)))
        await nextMillisecond()
      }
      assert.deepEqual(await known(one, 'a', 'b', 'c'), ['b', 'c'])
      await one.remove('b')
      await one.put('c', stored('é'.repeat(100)))
      await one.put('d', stored('é'.repeat(100)))
      assert.deepEqual(await known(one, 'c', 'd'), ['c', 'd'])
    })

    test('S36 a client that stores many or large responses evicts only its own', async () => {
      const [few, same] = await open({ maxCount: 4 })
      const ids = ['a/1', 'b/1', 'b/2', 'b/3', 'b/4', 'b/5', 'c/1']
      for (const id of ids) {
        await few.put(id, stored())
        await nextMillisecond()
      }
      assert.deepEqual(await known(same, ...ids), ['a/1', 'b/4', 'b/5', 'c/1'])
      await few.remove('b/4')
      await few.put('c/2', stored())
      assert.deepEqual(await known(same, ...ids, 'c/2'), ['a/1', 'b/5', 'c/1', 'c/2'])

      const size = Buffer.byteLength(JSON.stringify(stored()))
      const [small] = await open({ maxBytes: 4 * size + 1000 })
      for (const [id, text] of Object.entries({
        'a/1': '',
        'a/2': '',
        'b/1': 'x'.repeat(600),
        'b/2': 'x'.repeat(600),
      })) {
        await small.put(id, stored(text))
        await nextMillisecond()
      }
      assert.deepEqual(await known(small, 'a/1', 'a/2', 'b/1', 'b/2'), ['a/1', 'a/2', 'b/2'])
    })

    test('no response is stored if none may be, nor one that is too large by itself', async () => {
      const [none] = await open({ maxCount: 0 })
      await none.put('a', stored())
      assert.deepEqual(await known(none, 'a'), [])
      const [small] = await open({ maxBytes: 100 })
      await small.put('a', stored('x'.repeat(200)))
      assert.deepEqual(await known(small, 'a'), [])
    })
  })
}

describe('responses of an unreachable Redis', () => {
  test('are kept in the process, with one line in the log, and those of both times are found later', async () => {
    const server = await startRedis()
    const warnings: object[] = []
    const shared = redisStore(server.port, {}, { ...silent, warn: (details) => warnings.push(details) })
    const store = responsesWithFallback(shared, memoryResponses(wide, now))
    await store.put('before', stored('before'))
    await server.stop()
    await store.put('meanwhile', stored('meanwhile'))
    assert.deepEqual(await known(store, 'before', 'meanwhile'), ['meanwhile'])
    assert.equal(warnings.length, 1)
    assert.match(JSON.stringify(warnings), /stored within each process/)

    const again = await startRedis(server.port)
    while (!(await again.redis.exists('llm-router:responses'))) await store.put('after', stored('after'))
    assert.deepEqual(await known(store, 'meanwhile', 'after'), ['meanwhile', 'after'])
    assert.equal(await store.remove('meanwhile'), true)
    assert.equal(await store.remove('after'), true)
    await shared.close()
    await again.stop()
  })

  test('are evicted fairly although a router of an older version evicted some without counting', async () => {
    const server = await startRedis()
    const store = redisStore(server.port, { maxCount: 4 })
    for (const id of ['a/1', 'b/1', 'b/2', 'b/3']) await store.put(id, stored())
    for (const id of ['b/1', 'b/2']) {
      await server.redis.hdel('llm-router:responses', id)
      await server.redis.zrem('llm-router:responses:by-use', id)
      await server.redis.zrem('llm-router:responses:by-expiry', id)
    }
    for (const id of ['a/2', 'a/3', 'a/4']) await store.put(id, stored())
    assert.deepEqual(await known(store, 'a/1', 'a/2', 'a/3', 'a/4', 'b/3'), ['a/2', 'a/3', 'a/4', 'b/3'])
    await store.close()
    await server.stop()
  })

  test('outlive the process that stored them, and expire', async () => {
    const server = await startRedis()
    const first = redisStore(server.port)
    await first.put('a', stored())
    await first.close()
    const second = redisStore(server.port)
    assert.deepEqual(await second.find('a'), stored())
    for (const key of await server.redis.keys('llm-router:responses*')) {
      const left = await server.redis.pttl(key)
      assert.ok(left > 0 && left <= wide.ttlMs, key)
    }
    await second.close()
    await server.stop()
  })
})

/** Redis counts uses in milliseconds, so two within one are of the same age. */
async function nextMillisecond(): Promise<void> {
  const from = Date.now()
  while (Date.now() <= from) await new Promise(setImmediate)
}
