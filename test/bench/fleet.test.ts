import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../bench/fleet/comparison.ts'
import { workloads } from '../../bench/fleet/workloads.ts'
import { cacheAware } from '../../src/strategies/cache-aware.ts'
import { leastBusy } from '../../src/strategies/least-busy.ts'

function workload(wanted: string) {
  const found = workloads.find(({ name }) => name === wanted)
  assert.ok(found)
  return found
}

test('cache_aware: simulated conversations wait hardly longer than if each is pinned to its server', () => {
  const ours = simulate(workload('conversations'), cacheAware)
  const pinned = simulate(workload('conversations'), 'pinned')
  const least = simulate(workload('conversations'), leastBusy)
  assert.ok(ours.meanTtftMs <= 1.1 * pinned.meanTtftMs, `${ours.meanTtftMs} to ${pinned.meanTtftMs}`)
  assert.ok(ours.meanTtftMs <= 0.4 * least.meanTtftMs, `${ours.meanTtftMs} to ${least.meanTtftMs}`)
  assert.ok(ours.hitRate >= 0.95 * pinned.hitRate, `${ours.hitRate} of ${pinned.hitRate}`)
})

test('cache_aware: a simulated hot tenant is spread over the servers', () => {
  const ours = simulate(workload('hot tenant'), cacheAware)
  const least = simulate(workload('hot tenant'), leastBusy)
  assert.ok(ours.meanTtftMs <= 0.6 * least.meanTtftMs, `${ours.meanTtftMs} to ${least.meanTtftMs}`)
  assert.ok(ours.p99TtftMs <= least.p99TtftMs)
  assert.ok(ours.busiest <= 1.6, String(ours.busiest))
})
