import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { LeaseQueue, type LeaseQueueOptions } from '../../src/plugins/balancer/lease-queue.ts'
import { RouterError } from '../../src/sdk/errors.ts'
import { memoryLeases } from '../../src/stores/leases/memory.ts'
import type { LeaseStore, StoredLease } from '../../src/stores/leases/store.ts'
import { LocalTurns } from '../../src/stores/turns/local.ts'
import { storedRequest } from '../stores/stored-request.ts'

const boxes = (...ids: string[]) => ids.map((id) => ({ id, host: id, reserve: false, places: 1 }))

interface Options extends Partial<LeaseQueueOptions> {
  store?: LeaseStore
  pollMs?: { min: number; max: number }
}

function setUp({ store = memoryLeases(), pollMs = { min: 500, max: 500 }, ...options }: Options = {}) {
  const queue = new LeaseQueue({
    model: 'm',
    turns: new LocalTurns({ pollMs, random: () => 0.5 }),
    timeoutMs: 10_000,
    size: 256,
    now: () => performance.now(),
    ...options,
  })
  store.onFreed(() => queue.wake())
  const ask = (ids: readonly string[] = ['a'], signal?: AbortSignal, isComplete = true) =>
    queue.acquire(
      storedRequest({
        ...{ model: 'm', store, isComplete, targets: () => boxes(...ids) },
        ...(signal && { signal }),
      }),
    )
  return { store, queue, ask }
}

/** Everything that can happen without time passing or anybody doing something has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

function refusedWith(code: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof RouterError &&
    error.status === 503 &&
    error.code === code &&
    error.retryAfterSeconds !== undefined
}

test('requests get a target in the order in which they came, each by the release before it', async () => {
  const { store, ask, queue } = setUp()
  const order: number[] = []
  let running = 0
  const work = Array.from({ length: 1_000 }, async (_, index) => {
    const lease = await ask()
    assert.equal(++running, 1)
    order.push(index)
    await Promise.resolve()
    running--
    await store.release(lease)
  })
  await Promise.allSettled(work)
  // The queue holds 256, and one more has the target.
  assert.deepEqual(order, [...Array(257).keys()])
  assert.equal(queue.length, 0)
})

test('1,000 requests at once pass through two targets when the queue is long enough, in their order', async () => {
  const { store, ask } = setUp({ size: 1_000 })
  const order: number[] = []
  const work = Array.from({ length: 1_000 }, async (_, index) => {
    const lease = await ask(['a', 'b'])
    order.push(index)
    await settled()
    await store.release(lease)
  })
  await Promise.all(work)
  assert.deepEqual(order, [...Array(1_000).keys()])
})

test('a request beyond the size of the queue is refused at once, and a place that comes free is one again', async () => {
  const { store, ask } = setUp({ size: 1 })
  const first = await ask()
  const second = ask()
  await assert.rejects(ask(), refusedWith('queue_full'))
  await store.release(first)
  const lease = await second
  const third = ask()
  await assert.rejects(ask(), refusedWith('queue_full'))
  await store.release(lease)
  await third
})

test('as many requests as there are free targets need no place in the queue', async () => {
  const { ask } = setUp({ size: 0 })
  const answers = await Promise.allSettled([ask(['a', 'b']), ask(['a', 'b']), ask(['a', 'b'])])
  assert.deepEqual(
    answers.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected'],
  )
})

test('a request that waits too long is refused, and the next one keeps its turn', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const { store, ask, queue } = setUp({ timeoutMs: 60_000 })
    const lease = await ask()
    const early = assert.rejects(ask(), refusedWith('queue_timeout'))
    mock.timers.tick(30_000)
    const late = ask()
    await settled()
    mock.timers.tick(29_999)
    assert.equal(queue.length, 2)
    mock.timers.tick(1)
    await early
    assert.equal(queue.length, 1)
    await store.release(lease)
    await late
  } finally {
    mock.timers.reset()
  }
})

test('a client that leaves the queue is told its own reason, and its turn goes to the next', async () => {
  const { store, ask, queue } = setUp()
  const lease = await ask()
  const client = new AbortController()
  const gone = ask(['a'], client.signal)
  const next = ask()
  await settled()
  const reason = new RouterError('client_gone', 'left')
  client.abort(reason)
  await assert.rejects(gone, (error) => error === reason)
  assert.equal(queue.length, 1)
  await store.release(lease)
  await next
})

test('a client that has left before asking takes no place', async () => {
  const { ask, queue } = setUp()
  await assert.rejects(ask(['a'], AbortSignal.abort(new Error('left'))), /left/)
  assert.equal(queue.length, 0)
})

test('a lease that is granted to a client that has just left goes back', async () => {
  const memory = memoryLeases()
  const answer = Promise.withResolvers<void>()
  const slow: LeaseStore = {
    ...memory,
    async acquire(wish) {
      const lease = await memory.acquire(wish)
      await answer.promise
      return lease
    },
    // As when the message of the one who gives up overtakes nothing.
    abandon: async () => undefined,
  }
  const { ask } = setUp({ store: slow })
  const client = new AbortController()
  const gone = ask(['a'], client.signal)
  client.abort(new Error('left'))
  await assert.rejects(gone, /left/)
  answer.resolve()
  await settled()
  await ask()
})

test('one that waits for a certain target does not hold up those behind it', async () => {
  const { store, ask } = setUp()
  const [a, b] = [await ask(['a']), await ask(['b'])]
  const picky = ask(['a'], undefined, false)
  const easy = ask(['a', 'b'])
  await settled()
  await store.release(b)
  assert.equal((await easy).target.id, 'b')
  await store.release(a)
  assert.equal((await picky).target.id, 'a')
})

test('a store that is away is asked again until it answers, with the same key', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const memory = memoryLeases()
    const keys: string[] = []
    const { StoreDownError } = await import('../../src/stores/leases/store.ts')
    const store: LeaseStore = {
      ...memory,
      async acquire(wish): Promise<StoredLease | undefined> {
        if (keys.push(wish.key) < 4) throw new StoreDownError()
        return memory.acquire(wish)
      },
    }
    const { ask } = setUp({ store, pollMs: { min: 50, max: 250 } })
    const lease = ask()
    for (let poll = 1; poll < 4; poll++) {
      await settled()
      assert.equal(keys.length, poll)
      mock.timers.tick(150)
    }
    assert.equal((await lease).target.id, 'a')
    assert.equal(new Set(keys).size, 1)
  } finally {
    mock.timers.reset()
  }
})

test('a target that comes back while all were down is noticed without a release', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const { queue, store } = setUp()
    let up = false
    const targets = () => (up ? boxes('a') : [])
    const lease = queue.acquire(storedRequest({ model: 'm', store, targets }))
    await settled()
    up = true
    mock.timers.tick(500)
    assert.equal((await lease).target.id, 'a')
  } finally {
    mock.timers.reset()
  }
})

test('what the store has for the client reaches it', async () => {
  const memory = memoryLeases()
  const refusal = new RouterError('overloaded', 'no', { code: 'lease_store_down' })
  const { ask, queue } = setUp({ store: { ...memory, acquire: () => Promise.reject(refusal) } })
  await assert.rejects(ask(), (error) => error === refusal)
  assert.equal(queue.length, 0)
})
