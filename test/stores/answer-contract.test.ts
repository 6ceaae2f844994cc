import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { WorkerChannels } from '../../src/lib/worker-channels.ts'
import { AnswerSeal } from '../../src/stores/answer-cache/answer-seal.ts'
import { clusterAnswers, serveAnswers } from '../../src/stores/answer-cache/cluster.ts'
import { memoryAnswers } from '../../src/stores/answer-cache/memory.ts'
import { RedisAnswers } from '../../src/stores/answer-cache/redis.ts'
import { type AnswerCache, type AnswerKey, answerClock } from '../../src/stores/answer-cache/store.ts'
import { eventually } from '../helpers/eventually.ts'
import { addWorker } from './process-pipes.ts'
import { openTestRedis, type TestRedis } from './test-redis.ts'

interface Kind {
  name: string
  start(): Promise<void>
  /** Fresh stores that share their contents, as in two processes; one store if sharing is not possible. */
  open(): Promise<AnswerCache[]>
  stop(): Promise<void>
}

const nothing = async (): Promise<void> => undefined
const wide = 100_000
const silent = { info: () => undefined, warn: () => undefined }
const ttlMs = 60_000

function redis(): Kind {
  let server: TestRedis
  const opened: RedisAnswers[] = []
  return {
    name: 'Redis',
    async start() {
      server = await openTestRedis()
    },
    async open() {
      await server.flush()
      const options = { address: server.address, secret: 'secret', now: () => performance.now(), log: silent }
      const stores = [new RedisAnswers(options), new RedisAnswers(options)]
      opened.push(...stores)
      return stores
    },
    async stop() {
      for (const store of opened) await store.close()
      await server.stop()
    },
  }
}

const kinds: Kind[] = [
  { name: 'memory', start: nothing, open: async () => [memoryAnswers(wide, answerClock)], stop: nothing },
  {
    name: 'the primary',
    start: nothing,
    async open() {
      const workers = new WorkerChannels()
      serveAnswers(workers, wide)
      return ['1', '2'].map((id) => clusterAnswers(addWorker(workers, id)))
    },
    stop: nothing,
  },
  redis(),
]

const key = (digest: string, model = 'm', client = 'alice'): AnswerKey => ({ model, client, digest })

for (const { name, start, open, stop } of kinds)
  describe(`cached answers in ${name}`, () => {
    before(start)
    after(stop)

    async function two(): Promise<[AnswerCache, AnswerCache]> {
      const [one, other = one] = await open()
      assert.ok(one && other)
      return [one, other]
    }

    test('an answer kept by one process is found by another, until it is replaced', async () => {
      const [one, other] = await two()
      const requestedAt = answerClock()
      assert.equal(await other.find(key('a')), undefined)
      await one.put(key('a'), 'first', { ttlMs, requestedAt })
      assert.equal(await other.find(key('a')), 'first')
      await other.put(key('a'), 'żółw', { ttlMs, requestedAt })
      assert.equal(await one.find(key('a')), 'żółw')
      assert.equal(await one.find(key('b')), undefined)
    })

    test('an answer expires', async () => {
      const [one] = await two()
      await one.put(key('a'), 'short', { ttlMs: 1, requestedAt: answerClock() })
      await eventually(async () => (await one.find(key('a'))) === undefined)
    })

    test('answers are removed by model, by client, by both, and all', async () => {
      for (const [filter, count, left] of [
        [{ model: 'm' }, 2, ['o-alice', 'o-bob']],
        [{ client: 'bob' }, 2, ['m-alice', 'o-alice']],
        [{ model: 'o', client: 'bob' }, 1, ['m-alice', 'm-bob', 'o-alice']],
        [{}, 4, []],
      ] as const) {
        const [one, other] = await two()
        const all = ['m-alice', 'm-bob', 'o-alice', 'o-bob'].map((digest) => {
          const [model = '', client = ''] = digest.split('-')
          return key(digest, model, client)
        })
        for (const each of all) await one.put(each, each.digest, { ttlMs, requestedAt: answerClock() })
        assert.equal(await one.remove(filter), count)
        const found = await Promise.all(all.map((each) => other.find(each)))
        assert.deepEqual(found.filter(Boolean), left)
      }
    })

    test('an answer requested before a removal is not kept after it', async () => {
      const [one] = await two()
      const askedAt = answerClock()
      await one.remove({})
      await one.put(key('a'), 'late', { ttlMs, requestedAt: askedAt })
      assert.equal(await one.find(key('a')), undefined)
    })
  })

test('memory is bounded: the least recently used answers are evicted', async () => {
  let now = 1_000
  const store = memoryAnswers(5_000, () => now)
  const keep = (digest: string, bytes = 1_000) =>
    store.put(key(digest), 'x'.repeat(bytes), { ttlMs: 100, requestedAt: now })
  for (const digest of ['a', 'b', 'c']) await keep(digest)
  assert.ok(await store.find(key('a')))
  await keep('d')
  assert.equal(await store.find(key('b')), undefined)
  for (const digest of ['a', 'c', 'd']) assert.ok(await store.find(key(digest)), digest)
  await keep('large', 6_000)
  assert.equal(await store.find(key('large')), undefined)
  assert.deepEqual([store.sizes()?.answers, store.sizes()?.evicted], [3, 1])
  assert.ok((store.sizes()?.bytes ?? 0) <= 5_000)
  now += 101
  for (const digest of ['a', 'c', 'd']) assert.equal(await store.find(key(digest)), undefined)
  assert.deepEqual([store.sizes()?.answers, store.sizes()?.bytes], [0, 0])
})

test('S36 a client that fills the memory evicts only its own answers', async () => {
  const store = memoryAnswers(5_000, () => 1_000)
  const keep = (client: string, digest: string) =>
    store.put({ ...key(digest), client }, 'x'.repeat(1_000), { ttlMs: 100, requestedAt: 1_000 })
  await keep('quiet', 'mine')
  for (const digest of ['a', 'b', 'c', 'd', 'e']) await keep('busy', digest)
  assert.ok(await store.find({ ...key('mine'), client: 'quiet' }))
  assert.equal(await store.find({ ...key('a'), client: 'busy' }), undefined)
  assert.ok(await store.find({ ...key('e'), client: 'busy' }))
})

test('a sealed answer opens only under its own name, with its own secret, unchanged', () => {
  const seal = new AnswerSeal('secret')
  const sealed = seal.seal('żółw', 'name')
  assert.notDeepEqual(seal.seal('żółw', 'name'), sealed)
  assert.equal(seal.open(sealed, 'name'), 'żółw')
  assert.equal(seal.open(sealed, 'another'), undefined)
  assert.equal(new AnswerSeal('other').open(sealed, 'name'), undefined)
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed)
    changed[at] = (changed[at] ?? 0) ^ 1
    assert.equal(seal.open(changed, 'name'), undefined)
    assert.equal(seal.open(sealed.subarray(0, at), 'name'), undefined)
  }
})
