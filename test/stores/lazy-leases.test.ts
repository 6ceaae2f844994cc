import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LazyLeases } from '../../src/stores/leases/lazy.ts'
import { memoryLeases } from '../../src/stores/leases/memory.ts'
import type { LeaseRequest } from '../../src/stores/leases/store.ts'

function leaseRequest(key: string): LeaseRequest {
  const targets = [{ id: 'a', host: 'h', isLastResort: false, slots: 1 }]
  return { key, model: 'm', targets, affinity: false, complete: true }
}

test('a request that arrives while the store is being opened waits for it', async () => {
  const opened = Promise.withResolvers<void>()
  const store = new LazyLeases(async () => {
    await opened.promise
    return memoryLeases()
  })
  store.open()
  const asked = store.acquire(leaseRequest('k'))
  opened.resolve()
  assert.equal((await asked)?.target.id, 'a')
  assert.equal(await store.acquire(leaseRequest('other')), undefined)
})

test('a listener added before the store is opened is notified of freed targets', async () => {
  const store = new LazyLeases(async () => memoryLeases())
  const freed: string[] = []
  store.onFreed((model) => freed.push(model))
  store.open()
  const lease = await store.acquire(leaseRequest('k'))
  assert.ok(lease)
  await store.release(lease)
  assert.deepEqual(freed, ['m'])
})

test('a store that was never needed is closed without being opened', async () => {
  const store = new LazyLeases(() => assert.fail('opened'))
  await store.close()
})
