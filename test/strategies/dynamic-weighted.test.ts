import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainRequest } from '../../bench/strategies/simulated-server.ts'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import type { SharingInstance, TargetSignals, WeightControl } from '../../src/sdk/strategy.ts'
import { dynamicWeighted } from '../../src/strategies/dynamic-weighted.ts'
import { countOf, picks, signalsOf } from './signals.ts'

function created(clock: { now: number }): { instance: SharingInstance; weights: WeightControl } {
  const instance = dynamicWeighted.create({ now: () => clock.now, random: () => 0 })
  assert.ok(instance.weights)
  return { instance, weights: instance.weights }
}

/** Percent of 10,000 picks, rounded. */
function shares(instance: SharingInstance, candidates: readonly TargetSignals[]): number[] {
  const picked = picks(instance, candidates, 10_000)
  return candidates.map(({ target }) => Math.round(countOf(picked, target.id) / 100))
}

test('dynamic_weighted: before anything is observed, the configured weights apply', () => {
  const { instance } = created({ now: 0 })
  assert.deepEqual(
    shares(instance, [signalsOf('a', 0.6), signalsOf('b', 0.4), signalsOf('c', 0)]),
    [60, 40, 0],
  )
})

test('dynamic_weighted: the rotation starts at a random target', () => {
  const random = seededRandom(4)
  const first = Array.from({ length: 1_000 }, () => {
    const candidates = [signalsOf('a', 0.6), signalsOf('b', 0.4)]
    return dynamicWeighted.create({ now: () => 0, random }).pick(candidates, plainRequest()).target.id
  })
  assert.equal(Math.round(countOf(first, 'a') / 100), 6)
})

test('dynamic_weighted: a target with twice the time to first content gets half the share', () => {
  const { instance } = created({ now: 60_000 })
  const a = signalsOf('a', 0.6, { firstContentMs: 200 })
  const b = signalsOf('b', 0.6, { firstContentMs: 400 })
  assert.deepEqual(shares(instance, [a, b]), [67, 33])
})

test('dynamic_weighted: a target that fails every second time gets a quarter of its weight', () => {
  const { instance } = created({ now: 60_000 })
  const a = signalsOf('a', 0.4)
  const b = signalsOf('b', 0.4, { failureRate: 0.5 })
  assert.deepEqual(shares(instance, [a, b]), [80, 20])
})

test('dynamic_weighted: a target that only fails, slowly, keeps 5 % of its weight', () => {
  const { instance } = created({ now: 60_000 })
  const a = signalsOf('a', 0.95, { firstContentMs: 10 })
  const b = signalsOf('b', 1, { firstContentMs: 10_000, failureRate: 1 })
  assert.deepEqual(shares(instance, [a, b]), [95, 5])
})

test('dynamic_weighted: a target that recovered starts with a tenth and has its whole share after 30 s', () => {
  const clock = { now: 1_000_000 }
  const { instance } = created(clock)
  const [a, back] = [signalsOf('a'), signalsOf('back', 1, { returnedAt: clock.now })]
  assert.deepEqual(shares(instance, [a, back]), [91, 9])
  clock.now += 15_000
  assert.deepEqual(shares(instance, [a, back]), [65, 35])
  clock.now += 15_000
  assert.deepEqual(shares(instance, [a, back]), [50, 50])
})

test('dynamic_weighted: no target ramps up after a start, as all are equally new', () => {
  const { instance } = created({ now: 5_000 })
  const a = signalsOf('a', 1, { returnedAt: 5_000, firstContentMs: 100 })
  const b = signalsOf('b', 1, { returnedAt: 5_000, firstContentMs: 300 })
  assert.deepEqual(shares(instance, [a, b]), [75, 25])
})

test('dynamic_weighted: a slow target that is fast again gets its share back', () => {
  const { instance } = created({ now: 60_000 })
  const [a, b] = [signalsOf('a'), signalsOf('b', 1, { firstContentMs: 5_000 })]
  a.firstContentMs = 100
  assert.deepEqual(shares(instance, [a, b]), [95, 5])
  b.firstContentMs = 100
  assert.deepEqual(shares(instance, [a, b]), [50, 50])
})

test('dynamic_weighted: a weight set at run time applies from the next pick, and can be reset', () => {
  const { instance, weights } = created({ now: 0 })
  const candidates = [signalsOf('a', 0.5), signalsOf('b', 0.5)]
  assert.equal(weights.get('b'), undefined)
  weights.set('b', 0)
  assert.deepEqual(picks(instance, candidates, 3), ['a', 'a', 'a'])
  weights.set('b', 7)
  assert.equal(weights.get('b'), 1)
  assert.deepEqual(shares(instance, candidates), [33, 67])
  weights.set('b', -1)
  assert.equal(weights.get('b'), 0)
  weights.reset('b')
  assert.deepEqual(shares(instance, candidates), [50, 50])
  assert.throws(() => weights.set('b', Number.NaN), RangeError)
})

test('dynamic_weighted: each target gets at least 5 % of its configured share, whatever is observed', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed)
    const clock = { now: 0 }
    const { instance } = created(clock)
    const candidates = Array.from({ length: 2 + (seed % 5) }, (_, index) =>
      signalsOf(String(index), 0.1 + 0.9 * random()),
    )
    const picked: string[] = []
    for (let count = 0; count < 20_000; count++) {
      clock.now += 100 * random()
      for (const signals of candidates) {
        if (random() > 0.05) continue
        signals.firstContentMs = 10 ** (4 * random())
        signals.failureRate = random()
        if (random() < 0.1) signals.returnedAt = clock.now
      }
      picked.push(instance.pick(candidates, plainRequest()).target.id)
    }
    const total = candidates.reduce((sum, { target }) => sum + target.weight, 0)
    for (const { target } of candidates) {
      const least = 0.05 * (target.weight / total) * picked.length
      assert.ok(countOf(picked, target.id) >= Math.floor(least), `seed ${seed}: target ${target.id} starves`)
    }
  }
})
