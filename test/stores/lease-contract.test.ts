import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Channel } from '../../src/lib/channel.ts'
import { WorkerChannels } from '../../src/lib/worker-channels.ts'
import { clusterLeases, serveLeases } from '../../src/stores/leases/cluster.ts'
import { memoryLeases } from '../../src/stores/leases/memory.ts'
import { RedisLeases } from '../../src/stores/leases/redis.ts'
import type { LeaseStore, StoredLease } from '../../src/stores/leases/store.ts'
import { connectRedis } from '../../src/stores/redis/client.ts'
import { addWorker } from './process-pipes.ts'
import { openTestRedis, type TestRedis } from './test-redis.ts'
import { freed, taken, wishFor, withPlaces } from './wishes.ts'

interface Kind {
  name: string
  start(): Promise<void>
  /** As another process would open the same store; undefined where it is one process's own. */
  open(): Promise<LeaseStore>
  shared: boolean
  /** Hosts that wait take turns in it. */
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

async function acquired(store: LeaseStore, ...args: Parameters<typeof wishFor>): Promise<StoredLease> {
  return (await store.acquire(wishFor(...args))) ?? assert.fail('all are taken')
}

for (const kind of [memory(), primary(), redis()]) {
  describe(`leases: ${kind.name}`, () => {
    let store: LeaseStore
    let models = 0
    /** A model of each test's own. */
    const newModel = (): string => `model ${kind.name} ${++models}`

    before(async () => {
      await kind.start()
      store = await kind.open()
    })
    after(async () => {
      await store.close()
      await kind.stop()
    })

    test('the first free target in the order of the wish is taken, until none is left', async () => {
      const model = newModel()
      assert.equal(await taken(store, wishFor(model, ['b', 'a', 'c'])), 'b')
      assert.equal(await taken(store, wishFor(model, ['b', 'a', 'c'])), 'a')
      assert.equal(await taken(store, wishFor(model, ['a', 'b'])), undefined)
      assert.equal(await taken(store, wishFor(model, ['a', 'b', 'c'])), 'c')
      assert.equal(await taken(store, wishFor(model, ['a', 'b', 'c'])), undefined)
    })

    test('of many that ask at once each target goes to one', async () => {
      const model = newModel()
      const names = ['a', 'b', 'c', 'd']
      const got = await Promise.all(Array.from({ length: 40 }, () => taken(store, wishFor(model, names))))
      assert.deepEqual(got.filter((id) => id !== undefined).toSorted(), names)
    })

    test('a target of one model says nothing about the same name of another', async () => {
      const [one, two] = [newModel(), newModel()]
      const lease = await acquired(store, one, ['a'])
      assert.equal(await taken(store, wishFor(two, ['a'])), 'a')
      await store.release(lease)
      assert.equal(await taken(store, wishFor(two, ['a'])), undefined)
    })

    test('a released target is free again, and the model is told', async () => {
      const model = newModel()
      const lease = await acquired(store, model, ['a'])
      const told = freed(store, model)
      await store.release(lease)
      assert.equal(await told, model)
      assert.equal(await taken(store, wishFor(model, ['a'])), 'a')
    })

    test('a second release does not free what another request has by then', async () => {
      const model = newModel()
      const lease = await acquired(store, model, ['a'])
      await store.release(lease)
      await acquired(store, model, ['a'])
      await store.release(lease)
      assert.equal(await taken(store, wishFor(model, ['a'])), undefined)
    })

    test('a target with places has so many leases at a time, each of which gives back its own', async () => {
      const model = newModel()
      const wish = () => withPlaces(wishFor(model, ['a']), 3)
      const leases = [await store.acquire(wish()), await store.acquire(wish()), await store.acquire(wish())]
      assert.equal(await taken(store, wish()), undefined)
      const [first = assert.fail('no lease')] = leases
      await store.release(first)
      await store.release(first)
      assert.equal(await taken(store, wish()), 'a')
      assert.equal(await taken(store, wish()), undefined)
    })

    test('a target with more places than others does not lend them', async () => {
      const model = newModel()
      const wish = wishFor(model, ['a', 'b'])
      const [a = assert.fail('no target'), b = assert.fail('no target')] = wish.targets
      const ask = () => taken(store, { ...wishFor(model, []), targets: [a, { ...b, places: 2 }] })
      for (const expected of ['a', 'b', 'b', undefined]) assert.equal(await ask(), expected)
    })

    test('asking twice with one key gives one lease', async () => {
      const model = newModel()
      const wish = wishFor(model, ['a', 'b'])
      const first = await store.acquire(wish)
      const second = await store.acquire(wish)
      assert.deepEqual(second, first)
      assert.equal(await taken(store, wishFor(model, ['a', 'b'])), 'b')
    })

    test('a request that gives up leaves nothing behind, also when it had got something', async () => {
      const model = newModel()
      const wish = wishFor(model, ['a'])
      await store.acquire(wish)
      await store.abandon(wish)
      assert.equal(await taken(store, wishFor(model, ['a'])), 'a')
    })

    test('each lease of a model has a higher fence than those before', async () => {
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

    test('a sleeping target is taken when all others are, wherever it stands', async () => {
      const model = newModel()
      const names = ['sleeping', 'a', 'b']
      for (const expected of ['a', 'b', 'sleeping', undefined])
        assert.equal(await taken(store, wishFor(model, names)), expected)
    })

    test('with affinity the host that ran the model last comes first, then one that ran it', async () => {
      const model = newModel()
      const hosts = [1, 2, 3].map((index) => `h${index} of ${model}`)
      const names = hosts.map((host, index) => `t${index} on ${host}`)
      const use = async (some: readonly string[]): Promise<string | undefined> => {
        const lease = await store.acquire(wishFor(model, some, { affinity: true }))
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

    test('with affinity a host that another model ran is left to it, as long as there is an unused one', async () => {
      const [one, two] = [newModel(), newModel()]
      const [busy, fresh] = [`busy ${one}`, `fresh ${one}`]
      const lease = await acquired(store, one, [`a on ${busy}`], { affinity: true })
      await store.release(lease)
      const names = [`x on ${busy}`, `y on ${fresh}`]
      assert.equal(await taken(store, wishFor(two, names, { affinity: true })), 'y')
      // The work of the first model has ended, so its host is free for others when nothing better is.
      assert.equal(await taken(store, wishFor(two, names, { affinity: true })), 'x')
    })

    test('with affinity a host that is idle comes before one where another model runs now', async () => {
      const [one, two, three] = [newModel(), newModel(), newModel()]
      const [busy, idle] = [`busy ${one}`, `idle ${one}`]
      await store.release(await acquired(store, three, [`a on ${idle}`]))
      await acquired(store, one, [`a on ${busy}`])
      const names = [`x on ${busy}`, `y on ${idle}`]
      assert.equal(await taken(store, wishFor(two, names, { affinity: true })), 'y')
      assert.equal(await taken(store, wishFor(two, names, { affinity: true })), 'x')
    })

    if (kind.shared) {
      test('two processes never have the same target, and each hears of the release by the other', async () => {
        const model = newModel()
        const other = await kind.open()
        const lease = await acquired(store, model, ['a'])
        assert.equal(await taken(other, wishFor(model, ['a'])), undefined)
        const told = freed(other, model)
        await store.release(lease)
        await told
        assert.equal(await taken(other, wishFor(model, ['a'])), 'a')
        assert.equal(await taken(store, wishFor(model, ['a'])), undefined)
        await other.close()
        await waitFree(store, model)
      })

      if (kind.takesTurns)
        test('hosts with waiting requests get places in turn, and one that has just come is behind them', async () => {
          const model = newModel()
          const [one, two] = [await kind.open(), await kind.open()]
          let lease = await acquired(store, model, ['a'])
          const waiting = { one: wishFor(model, ['a']), two: wishFor(model, ['a']) }
          assert.equal(await taken(one, waiting.one), undefined)
          await new Promise((resolve) => setTimeout(resolve, 5)) // turns are told apart by the millisecond
          assert.equal(await taken(two, waiting.two), undefined)
          await store.release(lease)
          assert.equal(await taken(store, wishFor(model, ['a'])), undefined)
          assert.equal(await taken(two, waiting.two), undefined)
          lease = (await one.acquire(waiting.one)) ?? assert.fail('it was the turn of this one')
          waiting.one = wishFor(model, ['a'])
          assert.equal(await taken(one, waiting.one), undefined)
          await one.release(lease)
          assert.equal(await taken(one, waiting.one), undefined)
          assert.equal(await taken(two, waiting.two), 'a')
          await Promise.all([one.close(), two.close()])
        })

      test('one that waits for a certain target does not hold up those who want others', async () => {
        const model = newModel()
        const other = await kind.open()
        await acquired(store, model, ['a', 'b'])
        assert.equal(await taken(other, wishFor(model, ['a'], { complete: false })), undefined)
        assert.equal(await taken(store, wishFor(model, ['a', 'b'])), 'b')
        await other.close()
      })

      test('nor does one in a process to which the others seem down', async () => {
        const model = newModel()
        const other = await kind.open()
        await acquired(store, model, ['a', 'b'])
        assert.equal(await taken(other, wishFor(model, ['a'])), undefined)
        assert.equal(await taken(store, wishFor(model, ['a', 'b'])), 'b')
        await other.close()
      })

      test('a request for which all targets are down gets nothing and holds up nobody', async () => {
        const model = newModel()
        const other = await kind.open()
        assert.equal(await taken(other, wishFor(model, [])), undefined)
        assert.equal(await taken(store, wishFor(model, ['a'])), 'a')
        await other.close()
      })

      test('the place of a request that gave up is free at once', async () => {
        const model = newModel()
        const other = await kind.open()
        const lease = await acquired(store, model, ['a'])
        const old = wishFor(model, ['a'])
        await taken(other, old)
        await store.release(lease)
        await other.abandon(old)
        await waitFree(store, model)
        await other.close()
      })

      test('closing gives back what the process holds, and nothing of others', async () => {
        const model = newModel()
        const other = await kind.open()
        await acquired(store, model, ['a'])
        await acquired(other, model, ['b'])
        const told = freed(store, model)
        await other.close()
        await told
        assert.equal(await taken(store, wishFor(model, ['a', 'b'])), 'b')
      })
    }
  })
}

/** A release by another process may still be on its way. */
async function waitFree(store: LeaseStore, model: string): Promise<void> {
  const signal = AbortSignal.timeout(2_000)
  while ((await taken(store, wishFor(model, ['a']))) === undefined) {
    signal.throwIfAborted()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('a worker that ended frees its leases, and what was still in its pipe takes nothing', async () => {
  const channels = new WorkerChannels()
  serveLeases(channels)
  const dead = clusterLeases(addWorker(channels, 'dead'))
  const living = clusterLeases(addWorker(channels, 'living'))
  await acquired(dead, 'm', ['a'])
  const told = freed(living, 'm')
  void dead.acquire(wishFor('m', ['b']))
  channels.exited('dead')
  await told
  assert.equal(await taken(living, wishFor('m', ['a', 'b'])), 'a')
  assert.equal(await taken(living, wishFor('m', ['a', 'b'])), 'b')
})

test('a worker whose primary is gone says so instead of waiting', async () => {
  const store = clusterLeases(new Channel({ send: () => false, onMessage: () => undefined }))
  await assert.rejects(store.acquire(wishFor('m', ['a'])), { name: 'StoreDownError' })
})
