import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { LeaseQueue, type LeaseQueueOptions } from '../../src/plugins/balancer/lease-queue.ts'
import { RouterError } from '../../src/sdk/errors.ts'
import { memoryLeases } from '../../src/stores/leases/memory.ts'
import type { LeaseStore, StoredLease } from '../../src/stores/leases/store.ts'
import { LocalQueue } from '../../src/stores/queue/local.ts'
import { storedRequest } from '../stores/stored-request.ts'

const targetsNamed = (...ids: string[]) => ids.map((id) => ({ id, host: id, isLastResort: false, slots: 1 }))

interface Options extends Partial<LeaseQueueOptions> {
  store?: LeaseStore
  pollMs?: { min: number; max: number }
}

function setUp({ store = memoryLeases(), pollMs = { min: 500, max: 500 }, ...options }: Options = {}) {
  const queue = new LeaseQueue({
    model: 'm',
    turns: new LocalQueue({ pollMs, random: () => 0.5 }),
    timeoutMs: 10_000,
    size: 256,
    now: () => performance.now(),
    ...options,
  })
  store.onFreed(() => queue.wake())
  const ask = (ids: readonly string[] = ['a'], signal?: AbortSignal, isComplete = true) =>
    queue.acquire(
      storedRequest({
        model: 'm',
        store,
        isComplete,
        targets: () => targetsNamed(...ids),
        ...(signal && { signal }),
      }),
    )
  return { store, queue, ask }
}

/** Resolves when everything has happened that can happen without time passing or another call. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

function refusedWith(code: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof RouterError &&
    error.status === 503 &&
    error.code === code &&
    error.retryAfterSeconds !== undefined
}

test('requests get a target in order of arrival, each when the one before releases it', async () => {
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

test('1,000 concurrent requests pass two targets in order of arrival if the queue is long enough', async () => {
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

test('a request beyond the size of the queue is rejected immediately, and a freed slot can be used again', async () => {
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

test('requests need no slot in the queue while there are free targets', async () => {
  const { ask } = setUp({ size: 0 })
  const answers = await Promise.allSettled([ask(['a', 'b']), ask(['a', 'b']), ask(['a', 'b'])])
  assert.deepEqual(
    answers.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected'],
  )
})

test('a request that waits too long is rejected, and the next one keeps its position', async () => {
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

test('a client that aborts while queued gets its own abort reason, and its position goes to the next', async () => {
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

test('a client that disconnected before asking takes no slot in the queue', async () => {
  const { ask, queue } = setUp()
  await assert.rejects(ask(['a'], AbortSignal.abort(new Error('left'))), /left/)
  assert.equal(queue.length, 0)
})

test('a lease granted to a client that has just disconnected is released', async () => {
  const memory = memoryLeases()
  const answer = Promise.withResolvers<void>()
  const slow: LeaseStore = {
    ...memory,
    async acquire(request) {
      const lease = await memory.acquire(request)
      await answer.promise
      return lease
    },
    // As if the message that abandons the request overtakes nothing.
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

test('a request that waits for a certain target does not block those behind it', async () => {
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

test('an unavailable store is retried with the same key until it answers', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const memory = memoryLeases()
    const keys: string[] = []
    const { StoreDownError } = await import('../../src/stores/store.ts')
    const store: LeaseStore = {
      ...memory,
      async acquire(request): Promise<StoredLease | undefined> {
        if (keys.push(request.key) < 4) throw new StoreDownError()
        return memory.acquire(request)
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

test('a target that comes back after all were down is noticed without a release', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const { queue, store } = setUp()
    let up = false
    const targets = () => (up ? targetsNamed('a') : [])
    const lease = queue.acquire(storedRequest({ model: 'm', store, targets }))
    await settled()
    up = true
    mock.timers.tick(500)
    assert.equal((await lease).target.id, 'a')
  } finally {
    mock.timers.reset()
  }
})

test('an error from the store is passed on to the client unchanged', async () => {
  const memory = memoryLeases()
  const refusal = new RouterError('overloaded', 'no', { code: 'lease_store_down' })
  const { ask, queue } = setUp({ store: { ...memory, acquire: () => Promise.reject(refusal) } })
  await assert.rejects(ask(), (error) => error === refusal)
  assert.equal(queue.length, 0)
})
