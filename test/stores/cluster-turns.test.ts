import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerChannels } from '../../src/lib/worker-channels.ts'
import { clusterQueue, serveQueue } from '../../src/stores/queue/cluster.ts'
import type { OfferResult } from '../../src/stores/queue/fair-queue.ts'
import { addWorker } from './process-pipes.ts'

test('a process that did not respond gets its turn again, although the clock was set back', {
  timeout: 10_000,
}, async (t) => {
  const workers = new WorkerChannels()
  serveQueue(workers, { pollMs: { min: 50, max: 50 }, random: () => 0.5 })
  const turns = clusterQueue(addWorker(workers, 'w'))
  const served = Promise.withResolvers<void>()
  const wallClock = Date.now
  let offers = 0
  const ticket = {
    client: 'c',
    weight: 1,
    offer(): Promise<OfferResult> {
      offers++
      if (offers === 1) {
        // When the offer has timed out.
        setTimeout(() => t.mock.method(Date, 'now', () => wallClock() - 3_600_000), 1_000)
        return new Promise(() => undefined)
      }
      served.resolve()
      return Promise.resolve('served')
    },
  }
  turns.enter('m', ticket, true)
  await served.promise
  assert.equal(offers, 2)
  turns.leave('m', ticket)
})
