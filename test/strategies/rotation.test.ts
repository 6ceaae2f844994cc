import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainRequest } from '../../bench/strategies/simulated-server.ts'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import type { SharingStrategy, TargetSignals } from '../../src/sdk/strategy.ts'
import { balanced } from '../../src/strategies/balanced.ts'
import { weighted } from '../../src/strategies/weighted.ts'
import { countOf, noContext, picks, signalsOf } from './signals.ts'

test('balanced: requests in flight break a tie, the order of the file breaks the next', () => {
  const [a, b, c] = [signalsOf('a'), signalsOf('b'), signalsOf('c')]
  a.inFlight = 2
  b.inFlight = 1
  c.inFlight = 1
  const instance = balanced.create(noContext)
  assert.deepEqual(picks(instance, [a, b, c], 3), ['b', 'c', 'a'])
})

test('balanced: requests in flight never outweigh a use', () => {
  const [a, b] = [signalsOf('a'), signalsOf('b')]
  const instance = balanced.create(noContext)
  assert.equal(instance.pick([a, b], plainRequest()).target.id, 'a')
  b.inFlight = 100
  assert.equal(instance.pick([a, b], plainRequest()).target.id, 'b')
})

test('balanced: the configured weights are ignored', () => {
  const candidates = [signalsOf('a', 1), signalsOf('b', 0.1), signalsOf('c', 0)]
  assert.deepEqual(picks(balanced.create(noContext), candidates, 6), ['a', 'b', 'c', 'a', 'b', 'c'])
})

test('weighted: 0.5, 0.3 and 0.2 give 5, 3 and 2 in each ten, for a million requests', () => {
  const candidates = [signalsOf('a', 0.5), signalsOf('b', 0.3), signalsOf('c', 0.2)]
  const instance = weighted.create(noContext)
  for (let cycle = 0; cycle < 100_000; cycle++) {
    const ten = picks(instance, candidates, 10)
    assert.deepEqual([countOf(ten, 'a'), countOf(ten, 'b'), countOf(ten, 'c')], [5, 3, 2], `cycle ${cycle}`)
  }
})

test('weighted: the heaviest target does not get its share in one burst', () => {
  const candidates = [signalsOf('a', 1), signalsOf('b', 0.2), signalsOf('c', 0.2)]
  // The sequence in nginx's documentation for the weights 5, 1, 1.
  assert.deepEqual(picks(weighted.create(noContext), candidates, 7), ['a', 'a', 'b', 'a', 'c', 'a', 'a'])
})

test('weighted: a target with a weight of 0 gets no requests, however small the other weights are', () => {
  const candidates = [signalsOf('a', 0), signalsOf('b', 1e-12), signalsOf('c', 0)]
  assert.equal(countOf(picks(weighted.create(noContext), candidates, 100), 'b'), 100)
})

test('weighted: if all weights are 0, all targets get the same', () => {
  const candidates = [signalsOf('a', 0), signalsOf('b', 0)]
  assert.deepEqual(picks(weighted.create(noContext), candidates, 4), ['a', 'b', 'a', 'b'])
})

test('weighted: a target of weight 0 is used if it alone is left, and only then', () => {
  const [main, other, spare] = [signalsOf('main', 0.5), signalsOf('other', 0.5), signalsOf('spare', 0)]
  const instance = weighted.create(noContext)
  assert.deepEqual(
    picks(instance, [spare], 50),
    Array.from({ length: 50 }, () => 'spare'),
  )
  assert.deepEqual(picks(instance, [main, other, spare], 4), ['main', 'other', 'main', 'other'])
})

test('weighted: random weights are met exactly in every cycle', () => {
  const random = seededRandom(1)
  for (let round = 0; round < 200; round++) {
    const parts = Array.from({ length: 2 + Math.floor(random() * 7) }, () => Math.floor(random() * 21))
    parts[0] = Math.max(1, parts[0] ?? 1)
    const candidates = parts.map((part, index) => signalsOf(String(index), part / 20))
    const cycleLength = parts.reduce((sum, part) => sum + part, 0)
    const instance = weighted.create(noContext)
    for (let cycle = 0; cycle < 3; cycle++) {
      const cyclePicks = picks(instance, candidates, cycleLength)
      const counts = candidates.map(({ target }) => countOf(cyclePicks, target.id))
      assert.deepEqual(counts, parts)
    }
  }
})

test('balanced and weighted start at a random target, with a chance proportional to its weight', () => {
  const random = seededRandom(5)
  const begun = (strategy: SharingStrategy, weights: readonly number[]): number[] => {
    const first = Array.from({ length: 1_000 }, () => {
      const candidates = weights.map((weight, index) => signalsOf(String(index), weight))
      return strategy.create({ ...noContext, random }).pick(candidates, plainRequest()).target.id
    })
    return weights.map((_, index) => Math.round(countOf(first, String(index)) / 100))
  }
  assert.deepEqual(begun(balanced, [1, 0.1, 0, 1, 1]), [2, 2, 2, 2, 2])
  assert.deepEqual(begun(weighted, [0.5, 0.3, 0.2]), [5, 3, 2])
  assert.deepEqual(begun(weighted, [0, 0.7131, 0.2869001]), [0, 7, 3])
})

test('wherever a rotation starts, every cycle is exact, and no target is ever off by two requests', () => {
  const random = seededRandom(2)
  for (let round = 0; round < 300; round++) {
    const strategy = round % 3 === 0 ? balanced : weighted
    const parts = Array.from({ length: 2 + Math.floor(random() * 7) }, () =>
      strategy === balanced ? 1 : Math.floor(random() * 21),
    )
    parts[0] = Math.max(1, parts[0] ?? 1)
    const candidates = parts.map((part, index) => signalsOf(String(index), part / 20))
    const cycleLength = parts.reduce((sum, part) => sum + part, 0)
    const instance = strategy.create({ ...noContext, random })
    for (let cycle = 0; cycle < 3; cycle++) {
      const taken = parts.map(() => 0)
      for (let count = 1; count <= cycleLength; count++) {
        const at = Number(instance.pick(candidates, plainRequest()).target.id)
        taken[at] = (taken[at] ?? 0) + 1
        for (const [index, part] of parts.entries())
          assert.ok(Math.abs((taken[index] ?? 0) - (count * part) / cycleLength) < 2, `round ${round}`)
      }
      assert.deepEqual(taken, parts)
    }
  }
})

for (const strategy of [balanced, weighted]) {
  test(`${strategy.name}: a target that recovers is not flooded with what it missed`, () => {
    const [a, b, c] = [signalsOf('a'), signalsOf('b'), signalsOf('c')]
    const instance = strategy.create(noContext)
    picks(instance, [a, b, c], 30)
    const without = picks(instance, [b, c], 1_000)
    assert.deepEqual([countOf(without, 'b'), countOf(without, 'c')], [500, 500])
    const after = picks(instance, [a, b, c], 30)
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => countOf(after, id)),
      [10, 10, 10],
    )
    assert.deepEqual(after.slice(0, 3).toSorted(), ['a', 'b', 'c'])
  })

  test(`${strategy.name}: a new target is not flooded`, () => {
    const [a, b, added] = [signalsOf('a'), signalsOf('b'), signalsOf('added')]
    const instance = strategy.create(noContext)
    picks(instance, [a, b], 1_000)
    const after = picks(instance, [a, b, added], 30)
    assert.deepEqual(
      ['a', 'b', 'added'].map((id) => countOf(after, id)),
      [10, 10, 10],
    )
  })

  test(`${strategy.name}: a target that always fails gets no more than its share, and the others share the rest`, () => {
    const [bad, b, c] = [signalsOf('bad'), signalsOf('b'), signalsOf('c')]
    const instance = strategy.create(noContext)
    const tries: string[] = []
    for (let request = 0; request < 900; request++) {
      const first = instance.pick([bad, b, c], plainRequest())
      tries.push(first.target.id)
      if (first === bad) tries.push(instance.pick([b, c], plainRequest()).target.id)
    }
    assert.deepEqual(
      ['bad', 'b', 'c'].map((id) => countOf(tries, id)),
      [300, 450, 450],
    )
  })

  test(`${strategy.name}: whatever subset of targets is available, each gets its share of the picks it was available for`, () => {
    for (let seed = 1; seed <= 20; seed++) assertFairOverSubsets(strategy, seed)
  })
}

/** Over 5,000 picks among random subsets of random targets, no target is ever off by two requests. */
function assertFairOverSubsets(strategy: SharingStrategy, seed: number): void {
  const random = seededRandom(seed)
  const all = Array.from({ length: 2 + (seed % 6) }, (_, index) =>
    signalsOf(String(index), strategy === balanced ? 1 : 0.05 + Math.floor(random() * 20) / 20),
  )
  const due = new Map<TargetSignals, number>(all.map((signals) => [signals, 0]))
  const instance = strategy.create({ ...noContext, random })
  for (let count = 0; count < 5_000; count++) {
    const offered = all.filter(() => random() < 0.6)
    if (offered.length === 0) continue
    const total = offered.reduce((sum, { target }) => sum + target.weight, 0)
    for (const signals of offered) due.set(signals, (due.get(signals) ?? 0) + signals.target.weight / total)
    const picked = instance.pick(offered, plainRequest())
    due.set(picked, (due.get(picked) ?? 0) - 1)
    for (const [{ target }, owed] of due)
      assert.ok(Math.abs(owed) < 2, `seed ${seed}, pick ${count}: target ${target.id} is off by ${owed}`)
  }
}
