import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import type { SharingStrategy } from '../../src/sdk/strategy.ts'
import { adaptive } from '../../src/strategies/adaptive.ts'
import { balanced } from '../../src/strategies/balanced.ts'
import { dynamicWeighted } from '../../src/strategies/dynamic-weighted.ts'
import { leastBusy } from '../../src/strategies/least-busy.ts'
import { weighted } from '../../src/strategies/weighted.ts'
import { countOf, picks, type Signals, signalsOf } from './signals.ts'

/*
 * With hundreds of targets, strategies keep what they know of them from pick to pick, which must have no visible
 * effect.
 */
const count = 500

function many(known: (index: number) => Partial<Signals> = () => ({})): Signals[] {
  return Array.from({ length: count }, (_, index) => ({ ...signalsOf(`t${index}`), ...known(index) }))
}

function created(strategy: SharingStrategy, clock = { now: 60_000 }) {
  return strategy.create({ now: () => clock.now, random: seededRandom(3) })
}

for (const strategy of [balanced, weighted, dynamicWeighted]) {
  test(`${strategy.name}: each of five hundred equal targets gets one request in five hundred`, () => {
    const instance = created(strategy)
    const candidates = many()
    for (let cycle = 0; cycle < 3; cycle++)
      assert.equal(new Set(picks(instance, candidates, count)).size, count, `cycle ${cycle}`)
  })

  test(`${strategy.name}: leaving out one target for a while does not change the order of the others`, () => {
    const instance = strategy.create({ now: () => 60_000, random: () => 0 })
    const candidates = many()
    const first = new Set(picks(instance, candidates, 200))
    const without = candidates.filter(({ target }) => target.id !== 't499')
    const second = picks(instance, without, 299)
    assert.equal(new Set([...first, ...second]).size, 499)
    assert.deepEqual(picks(instance, candidates, 1), ['t499'])
  })
}

test('dynamic_weighted: a weight that is set applies to the next request among hundreds of targets', () => {
  const instance = created(dynamicWeighted)
  const candidates = many()
  picks(instance, candidates, 3)
  for (const { target } of candidates) if (target.id !== 't7') instance.weights?.set(target.id, 0)
  assert.deepEqual(picks(instance, candidates, 3), ['t7', 't7', 't7'])
  for (const { target } of candidates) instance.weights?.reset(target.id)
  assert.ok(countOf(picks(instance, candidates, count), 't7') <= 2)
})

test('dynamic_weighted: a failing target among hundreds loses most of its share within a few requests', () => {
  const instance = created(dynamicWeighted)
  const candidates = many()
  picks(instance, candidates, count)
  const failing = candidates[250]
  assert.ok(failing)
  failing.failureRate = 1
  picks(instance, candidates, 10)
  assert.ok(countOf(picks(instance, candidates, 10 * count), 't250') <= 1)
})

test('adaptive: the cheapest of hundreds is picked, and the next cheapest when it is busy', () => {
  const instance = created(adaptive)
  const candidates = many((index) => ({ firstContentMs: index === 123 ? 10 : index === 321 ? 15 : 100 }))
  assert.deepEqual(new Set(picks(instance, candidates, 20)), new Set(['t123']))
  const [cheapest] = candidates.filter(({ firstContentMs }) => firstContentMs === 10)
  assert.ok(cheapest)
  cheapest.inFlight = 3
  assert.deepEqual(new Set(picks(instance, candidates, 20)), new Set(['t321']))
})

test('adaptive: an unused target is tried again although hundreds are better', () => {
  const clock = { now: 60_000 }
  const instance = created(adaptive, clock)
  const candidates = many((index) => ({ firstContentMs: index === 9 ? 1_000 : 10 }))
  picks(instance, candidates, 60)
  clock.now += 11_000
  const later = picks(instance, candidates, 10 * count)
  assert.ok(countOf(later, 't9') >= 1)
})

test('least_busy: two different targets among hundreds are drawn, each by its chance', () => {
  const instance = created(leastBusy)
  const candidates = many((index) => ({ inFlight: index < 250 ? 1 : 0 }))
  const picked = picks(instance, candidates, 20_000)
  const idle = picked.filter((id) => Number(id.slice(1)) >= 250).length
  // Busy ones are picked only if both are: a quarter of 20,000, with a standard deviation of 61.
  assert.ok(Math.abs(idle - 15_000) < 310, `${idle}`)
  assert.ok(new Set(picked).size > 490)
})
