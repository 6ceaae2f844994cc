import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulatedTarget } from '../../../bench/strategies/simulated-server.ts'
import { LiveSignals } from '../../../src/plugins/balancer/live-signals.ts'
import { AvailableTargets } from '../../../src/plugins/balancer/model-states.ts'
import { TargetHealth } from '../../../src/plugins/health/target-health.ts'
import type { Target } from '../../../src/sdk/target.ts'

function setUp() {
  const healths = new Map<Target, TargetHealth>()
  const all = ['a', 'b', 'c'].map((id) => new LiveSignals(simulatedTarget(id, 1), 0))
  for (const { target } of all) healths.set(target, healthOfNothing())
  const healthOf = (target: Target) => healths.get(target) ?? assert.fail('a target of another model')
  const available = new AvailableTargets(healthOf)
  const [a, b] = all.map(({ target }) => healthOf(target))
  const unrelated = healthOfNothing()
  return { all, available, a: a ?? assert.fail(), b: b ?? assert.fail(), unrelated }
}

function healthOfNothing(): TargetHealth {
  return new TargetHealth({
    now: () => 0,
    random: () => 0,
    onUnhealthy: () => undefined,
    onChange: () => undefined,
  })
}

const idsOf = (list: readonly LiveSignals[]): string[] => list.map(({ target }) => target.id)

test('excluded targets are left out, and the others keep their order', () => {
  const { all, available, a, b } = setUp()
  assert.deepEqual(idsOf(available.of(all, [b])), ['a', 'c'])
  assert.deepEqual(idsOf(available.of(all, [b, a])), ['c'])
  assert.deepEqual(idsOf(available.of(all, [a])), ['b', 'c'])
  assert.equal(available.of(all, []), all)
})

test('the list is the same object until it changes, whatever targets of other models are excluded', () => {
  const { all, available, b, unrelated } = setUp()
  const list = available.of(all, [b])
  assert.equal(available.of(all, [unrelated, b]), list)
  assert.equal(available.of(all, [unrelated]), all)
})

test('a reload yields a new list, because the targets behind the same signals may have changed', () => {
  const { all, available, b } = setUp()
  const before = available.of(all, [b])
  const after = available.of([...all], [b])
  assert.deepEqual(idsOf(after), ['a', 'c'])
  assert.notEqual(after, before)
})

test('after a reload the list has the new targets only', () => {
  const { all, available, b } = setUp()
  const keepingOut = [b]
  available.of(all, keepingOut)
  assert.deepEqual(idsOf(available.of(all.slice(1), keepingOut)), ['c'])
})
