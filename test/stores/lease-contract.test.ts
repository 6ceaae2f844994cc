import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { Channel } from '../../src/lib/channel.ts'
import { WorkerChannels } from '../../src/lib/worker-channels.ts'
import { clusterLeases, serveLeases } from '../../src/stores/leases/cluster.ts'
import { memoryLeases } from '../../src/stores/leases/memory.ts'
import { RedisLeases } from '../../src/stores/leases/redis.ts'
import type { LeaseStore, StoredLease } from '../../src/stores/leases/store.ts'
import { connectRedis } from '../../src/stores/redis/client.ts'
import { eventually } from '../helpers/eventually.ts'
import { freed, leaseRequest, taken, withSlots } from './lease-requests.ts'
import { addWorker } from './process-pipes.ts'
import { openTestRedis, type TestRedis } from './test-redis.ts'

interface Kind {
  name: string
  start(): Promise<void>
  /** Opens the same store as another process would; undefined if it belongs to one process. */
  open(): Promise<LeaseStore>
  shared: boolean
  /** Waiting hosts take turns in it. */
  takesTurns?: boolean
  stop(): Promise<void>
}

const now = () => performance.now()
const nothing = async (): Promise<void> => undefined

function memory(): Kind {
  return { name: 'memory', start: nothing, open: async () => memoryLeases(), shared: false, stop: nothing }
}

function primary(): Kind {
  const channels = new WorkerChannels()
  serveLeases(channels)
  let workers = 0
  return {
    name: 'held by the primary',
    start: nothing,
    open: async () => clusterLeases(addWorker(channels, String(++workers))),
    shared: true,
    stop: nothing,
  }
}

function redis(): Kind {
  let server: TestRedis
  let workers = 0
  return {
    name: 'Redis',
    async start() {
      server = await openTestRedis()
      await server.flush()
    },
    async open() {
      const store = new RedisLeases({
        link: connectRedis(server.address),
        worker: `w${++workers}`,
        whenDown: 'reject',
        now,
        log: { info: () => undefined, warn: (details) => assert.fail(JSON.stringify(details)) },
      })
      await store.started()
      return store
    },
    shared: true,
    takesTurns: true,
    stop: () => server.stop(),
  }
}

/** Resolves when the clock has advanced: Redis records since when a host waits by the millisecond. */
async function nextMillisecond(): Promise<void> {
  const from = Date.now()
  while (Date.now() <= from) await nextIteration()
}

async function acquired(store: LeaseStore, ...args: Parameters<typeof leaseRequest>): Promise<StoredLease> {
  return (await store.acquire(leaseRequest(...args))) ?? assert.fail('all are taken')
}

for (const kind of [memory(), primary(), redis()]) {
  describe(`leases: ${kind.name}`, () => {
    let store: LeaseStore
    let models = 0
    /** A separate model for each test. */
    const newModel = (): string => `model ${kind.name} ${++models}`

    before(async () => {
      await kind.start()
      store = await kind.open()
    })
    after(async () => {
      await store.close()
      await kind.stop()
    })

    test('the first free target in the requested order is leased, until none is left', async () => {
      const model = newModel()
      assert.equal(await taken(store, leaseRequest(model, ['b', 'a', 'c'])), 'b')
      assert.equal(await taken(store, leaseRequest(model, ['b', 'a', 'c'])), 'a')
      assert.equal(await taken(store, leaseRequest(model, ['a', 'b'])), undefined)
      assert.equal(await taken(store, leaseRequest(model, ['a', 'b', 'c'])), 'c')
      assert.equal(await taken(store, leaseRequest(model, ['a', 'b', 'c'])), undefined)
    })

    test('each target is leased to one of many concurrent requests', async () => {
      const model = newModel()
      const names = ['a', 'b', 'c', 'd']
      const got = await Promise.all(
        Array.from({ length: 40 }, () => taken(store, leaseRequest(model, names))),
      )
      assert.deepEqual(got.filter((id) => id !== undefined).toSorted(), names)
    })

    test('a target of one model is independent of a target with the same name of another', async () => {
      const [one, two] = [newModel(), newModel()]
      const lease = await acquired(store, one, ['a'])
      assert.equal(await taken(store, leaseRequest(two, ['a'])), 'a')
      await store.release(lease)
      assert.equal(await taken(store, leaseRequest(two, ['a'])), undefined)
    })

    test('a released target is free again, and waiters of the model are notified', async () => {
      const model = newModel()
      const lease = await acquired(store, model, ['a'])
      const notified = freed(store, model)
      await store.release(lease)
      assert.equal(await notified, model)
      assert.equal(await taken(store, leaseRequest(model, ['a'])), 'a')
    })

    test('a second release does not free the target if another request has leased it in the meantime', async () => {
      const model = newModel()
      const lease = await acquired(store, model, ['a'])
      await store.release(lease)
      await acquired(store, model, ['a'])
      await store.release(lease)
      assert.equal(await taken(store, leaseRequest(model, ['a'])), undefined)
    })

    test('a target with several slots has that many leases at a time, and each releases its own slot', async () => {
      const model = newModel()
      const request = () => withSlots(leaseRequest(model, ['a']), 3)
      const leases = [
        await store.acquire(request()),
        await store.acquire(request()),
        await store.acquire(request()),
      ]
      assert.equal(await taken(store, request()), undefined)
      const [first = assert.fail('no lease')] = leases
      await store.release(first)
      await store.release(first)
      assert.equal(await taken(store, request()), 'a')
      assert.equal(await taken(store, request()), undefined)
    })

    test('a target with more slots than others does not lend them', async () => {
      const model = newModel()
      const request = leaseRequest(model, ['a', 'b'])
      const [a = assert.fail('no target'), b = assert.fail('no target')] = request.targets
      const ask = () => taken(store, { ...leaseRequest(model, []), targets: [a, { ...b, slots: 2 }] })
      for (const expected of ['a', 'b', 'b', undefined]) assert.equal(await ask(), expected)
    })

    test('asking twice with the same key returns the same lease', async () => {
      const model = newModel()
      const request = leaseRequest(model, ['a', 'b'])
      const first = await store.acquire(request)
      const second = await store.acquire(request)
      assert.deepEqual(second, first)
      assert.equal(await taken(store, leaseRequest(model, ['a', 'b'])), 'b')
    })

    test('a request that gives up leaves nothing behind, even if it had been granted a lease', async () => {
      const model = newModel()
      const request = leaseRequest(model, ['a'])
      await store.acquire(request)
      await store.abandon(request)
      assert.equal(await taken(store, leaseRequest(model, ['a'])), 'a')
    })

    test('each lease of a model has a higher fencing token than those before', async () => {
      const model = newModel()
      const fences: number[] = []
      for (let index = 0; index < 5; index++) {
        const lease = await acquired(store, model, ['a'])
        fences.push(lease.fence)
        await store.release(lease)
      }
      assert.deepEqual(
        fences,
        fences.toSorted((a, b) => a - b),
      )
      assert.equal(new Set(fences).size, 5)
    })

    test('a standby target is leased only when all others are, wherever it is listed', async () => {
      const model = newModel()
      const names = ['sleeping', 'a', 'b']
      for (const expected of ['a', 'b', 'sleeping', undefined])
        assert.equal(await taken(store, leaseRequest(model, names)), expected)
    })

    test('with affinity the host that ran the model last is preferred, then one that ran it earlier', async () => {
      const model = newModel()
      const hosts = [1, 2, 3].map((index) => `h${index} of ${model}`)
      const names = hosts.map((host, index) => `t${index} on ${host}`)
      const use = async (some: readonly string[]): Promise<string | undefined> => {
        const lease = await store.acquire(leaseRequest(model, some, { affinity: true }))
        if (lease) await store.release(lease)
        return lease?.target.id
      }
      assert.equal(await use(names.slice(2)), 't2')
      assert.equal(await use(names), 't2')
      assert.equal(await use(names.slice(1, 2)), 't1')
      assert.equal(await use(names), 't1')
      // t1 is taken: t2 ran the model before, t0 never did.
      await acquired(store, model, names.slice(1, 2))
      assert.equal(await use(names), 't2')
    })

    test('with affinity a host that ran another model is avoided while there is an unused one', async () => {
      const [one, two] = [newModel(), newModel()]
      const [busy, fresh] = [`busy ${one}`, `fresh ${one}`]
      const lease = await acquired(store, one, [`a on ${busy}`], { affinity: true })
      await store.release(lease)
      const names = [`x on ${busy}`, `y on ${fresh}`]
      assert.equal(await taken(store, leaseRequest(two, names, { affinity: true })), 'y')
      // The work of the first model has ended, so its host is available to others if nothing better is.
      assert.equal(await taken(store, leaseRequest(two, names, { affinity: true })), 'x')
    })

    test('with affinity an idle host is preferred over one where another model is running', async () => {
      const [one, two, three] = [newModel(), newModel(), newModel()]
      const [busy, idle] = [`busy ${one}`, `idle ${one}`]
      await store.release(await acquired(store, three, [`a on ${idle}`]))
      await acquired(store, one, [`a on ${busy}`])
      const names = [`x on ${busy}`, `y on ${idle}`]
      assert.equal(await taken(store, leaseRequest(two, names, { affinity: true })), 'y')
      assert.equal(await taken(store, leaseRequest(two, names, { affinity: true })), 'x')
    })

    if (kind.shared) {
      test('two processes never lease the same target, and each is notified of releases by the other', async () => {
        const model = newModel()
        const other = await kind.open()
        const lease = await acquired(store, model, ['a'])
        assert.equal(await taken(other, leaseRequest(model, ['a'])), undefined)
        const notified = freed(other, model)
        await store.release(lease)
        await notified
        assert.equal(await taken(other, leaseRequest(model, ['a'])), 'a')
        assert.equal(await taken(store, leaseRequest(model, ['a'])), undefined)
        await other.close()
        await waitFree(store, model)
      })

      if (kind.takesTurns)
        test('hosts with waiting requests are served in turn, and one that has just arrived is behind them', async (t) => {
          const model = newModel()
          const [one, two] = [await kind.open(), await kind.open()]
          t.after(() => Promise.all([one.close(), two.close()]))
          let lease = await acquired(store, model, ['a'])
          const waiting = { one: leaseRequest(model, ['a']), two: leaseRequest(model, ['a']) }
          assert.equal(await taken(one, waiting.one), undefined)
          await nextMillisecond()
          assert.equal(await taken(two, waiting.two), undefined)
          await store.release(lease)
          assert.equal(await taken(store, leaseRequest(model, ['a'])), undefined)
          assert.equal(await taken(two, waiting.two), undefined)
          lease = (await one.acquire(waiting.one)) ?? assert.fail("it was this host's turn")
          waiting.one = leaseRequest(model, ['a'])
          await nextMillisecond()
          assert.equal(await taken(one, waiting.one), undefined)
          await one.release(lease)
          assert.equal(await taken(one, waiting.one), undefined)
          assert.equal(await taken(two, waiting.two), 'a')
        })

      test('a request that waits for a certain target does not block those that accept others', async () => {
        const model = newModel()
        const other = await kind.open()
        await acquired(store, model, ['a', 'b'])
        assert.equal(await taken(other, leaseRequest(model, ['a'], { complete: false })), undefined)
        assert.equal(await taken(store, leaseRequest(model, ['a', 'b'])), 'b')
        await other.close()
      })

      test('a request of a process that considers other targets down does not block those that accept others', async () => {
        const model = newModel()
        const other = await kind.open()
        await acquired(store, model, ['a', 'b'])
        assert.equal(await taken(other, leaseRequest(model, ['a'])), undefined)
        assert.equal(await taken(store, leaseRequest(model, ['a', 'b'])), 'b')
        await other.close()
      })

      test('a request whose targets are all down gets no lease, and other requests are not blocked', async () => {
        const model = newModel()
        const other = await kind.open()
        assert.equal(await taken(other, leaseRequest(model, [])), undefined)
        assert.equal(await taken(store, leaseRequest(model, ['a'])), 'a')
        await other.close()
      })

      test('the queue position of a request that gave up is free immediately', async () => {
        const model = newModel()
        const other = await kind.open()
        const lease = await acquired(store, model, ['a'])
        const old = leaseRequest(model, ['a'])
        await taken(other, old)
        await store.release(lease)
        await other.abandon(old)
        await waitFree(store, model)
        await other.close()
      })

      test('closing the store releases the leases of the process, and no others', async () => {
        const model = newModel()
        const other = await kind.open()
        await acquired(store, model, ['a'])
        await acquired(other, model, ['b'])
        const notified = freed(store, model)
        await other.close()
        await notified
        assert.equal(await taken(store, leaseRequest(model, ['a', 'b'])), 'b')
      })
    }
  })
}

/** A release by another process may not have arrived yet. */
async function waitFree(store: LeaseStore, model: string): Promise<void> {
  await eventually(async () => (await taken(store, leaseRequest(model, ['a']))) !== undefined)
}

test('a worker that exited frees its leases, and acquires left in its pipe are ignored', async () => {
  const channels = new WorkerChannels()
  serveLeases(channels)
  const dead = clusterLeases(addWorker(channels, 'dead'))
  const living = clusterLeases(addWorker(channels, 'living'))
  await acquired(dead, 'm', ['a'])
  const notified = freed(living, 'm')
  void dead.acquire(leaseRequest('m', ['b']))
  channels.exited('dead')
  await notified
  assert.equal(await taken(living, leaseRequest('m', ['a', 'b'])), 'a')
  assert.equal(await taken(living, leaseRequest('m', ['a', 'b'])), 'b')
})

test('a worker whose primary is gone fails instead of waiting', async () => {
  const store = clusterLeases(new Channel({ send: () => false, onMessage: () => undefined }))
  await assert.rejects(store.acquire(leaseRequest('m', ['a'])), { name: 'StoreDownError' })
})
