import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainRequest } from '../../bench/strategies/simulated-server.ts'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import type { SharingInstance } from '../../src/sdk/strategy.ts'
import { leastBusy } from '../../src/strategies/least-busy.ts'
import { countOf, picks, type Signals, signalsOf } from './signals.ts'

function created(seed = 1): SharingInstance {
  const now = (): number => {
    throw new Error('asked for the time')
  }
  return leastBusy.create({ now, random: seededRandom(seed) })
}

test('least_busy: of two targets the one with fewer requests in flight is always picked', () => {
  const [a, b] = [signalsOf('a', 1, { inFlight: 3 }), signalsOf('b', 1, { inFlight: 2 })]
  assert.equal(countOf(picks(created(), [a, b], 100), 'b'), 100)
})

test('least_busy: requests in flight are counted per weight', () => {
  const [big, small] = [signalsOf('big', 1, { inFlight: 3 }), signalsOf('small', 0.5, { inFlight: 2 })]
  assert.equal(countOf(picks(created(), [big, small], 100), 'big'), 100)
})

test('least_busy: idle targets share by weight', () => {
  const candidates = [signalsOf('a', 1), signalsOf('b', 0.5), signalsOf('c', 0.5)]
  const picked = picks(created(), candidates, 20_000)
  // Of 20,000 draws with a chance of 1/2 the standard deviation is 71: five of them are far out.
  assert.ok(Math.abs(countOf(picked, 'a') - 10_000) < 355)
  assert.ok(Math.abs(countOf(picked, 'b') - 5_000) < 310)
})

test('least_busy: a weight of 0 excludes a target, unless all have it', () => {
  const [spare, other] = [signalsOf('spare', 0), signalsOf('other', 0)]
  const busy = signalsOf('busy', 0.1, { inFlight: 100 })
  assert.equal(countOf(picks(created(), [spare, busy, other], 100), 'busy'), 100)
  const picked = picks(created(), [spare, other], 1_000)
  assert.ok(countOf(picked, 'spare') > 400 && countOf(picked, 'other') > 400)
})

test('least_busy: the busiest of all is never picked', () => {
  const candidates = [1, 2, 3, 9].map((inFlight, index) => signalsOf(String(index), 1, { inFlight }))
  const picked = picks(created(), candidates, 2_000)
  assert.equal(countOf(picked, '3'), 0)
  assert.ok(countOf(picked, '0') > countOf(picked, '1'))
})

test('least_busy: under load the requests in flight stay even, and no target starves', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = seededRandom(100 + seed)
    const candidates = Array.from({ length: 5 }, (_, index) => signalsOf(String(index)))
    const instance = created(seed)
    const running: Signals[] = []
    const uses = candidates.map(() => 0)
    for (let count = 0; count < 5_000; count++) {
      // 100 requests in flight, ending in any order.
      if (running.length >= 100) {
        const [ended] = running.splice(Math.floor(random() * running.length), 1)
        if (ended) ended.inFlight--
      }
      const { target: taken } = instance.pick(candidates, plainRequest())
      const index = candidates.findIndex(({ target }) => target === taken)
      const picked = candidates[index]
      assert.ok(picked)
      picked.inFlight++
      running.push(picked)
      uses[index] = (uses[index] ?? 0) + 1
      const inFlight = candidates.map((signals) => signals.inFlight)
      assert.ok(Math.max(...inFlight) - Math.min(...inFlight) <= 12, `seed ${seed}: ${inFlight}`)
    }
    for (const count of uses) assert.ok(count > 800 && count < 1_200, `seed ${seed}: ${uses}`)
  }
})
