import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainRequest } from '../../bench/strategies/box.ts'
import { seededRandom } from '../../bench/strategies/seeded-random.ts'
import type { SharingInstance } from '../../src/sdk/strategy.ts'
import { adaptive } from '../../src/strategies/adaptive.ts'
import { countOf, picks, signalsOf } from './signals.ts'

function created(clock = { now: 0 }, seed = 1): SharingInstance {
  return adaptive.create({ now: () => clock.now, random: seededRandom(seed) })
}

test('the target that begins and goes on faster is taken', () => {
  const slow = signalsOf('slow', 1, { firstContentMs: 300, perTokenMs: 20 })
  const fast = signalsOf('fast', 1, { firstContentMs: 200, perTokenMs: 10 })
  assert.equal(countOf(picks(created(), [slow, fast], 100), 'fast'), 100)
})

test('time per token can outweigh a quick beginning', () => {
  const begins = signalsOf('begins', 1, { firstContentMs: 50, perTokenMs: 40 })
  const goesOn = signalsOf('goes on', 1, { firstContentMs: 1_000, perTokenMs: 10 })
  assert.equal(created().pick([begins, goesOn], plainRequest()), goesOn)
})

test('a slower target is taken when the faster one has too much in flight', () => {
  const fast = signalsOf('fast', 1, { firstContentMs: 100 })
  const slow = signalsOf('slow', 1, { firstContentMs: 350 })
  const taken = [0, 1, 2, 3, 4].map((inFlight) => {
    fast.inFlight = inFlight
    return created().pick([fast, slow], plainRequest()).target.id
  })
  // (inFlight + 1) x 100 against 350: with 2 and 3 the two are within a quarter of each other, and either may be taken.
  assert.deepEqual(taken.slice(0, 2), ['fast', 'fast'])
  assert.equal(taken[4], 'slow')
})

test('a target that fails half of its requests counts as twice as dear', () => {
  const fails = signalsOf('fails', 1, { firstContentMs: 100, failureRate: 0.5 })
  const slow = signalsOf('slow', 1, { firstContentMs: 150 })
  assert.equal(created().pick([fails, slow], plainRequest()), slow)
  slow.firstContentMs = 300
  assert.equal(created().pick([fails, slow], plainRequest()), fails)
})

test('a target that was never seen counts as quick', () => {
  const known = signalsOf('known', 1, { firstContentMs: 100, perTokenMs: 10, inFlight: 1 })
  const unseen = signalsOf('unseen')
  assert.equal(created().pick([known, unseen], plainRequest()), unseen)
})

test('targets that are about equal share as their weights say', () => {
  const a = signalsOf('a', 1, { firstContentMs: 100, inFlight: 1 })
  const b = signalsOf('b', 0.5, { firstContentMs: 110 })
  const picked = picks(created(), [a, b], 9_000)
  // A chance of 2/3 has a standard deviation of 45 in 9,000.
  assert.ok(Math.abs(countOf(picked, 'a') - 6_000) < 225)
})

test('a weight of 0 is for nothing, unless all have it', () => {
  const clock = { now: 0 }
  const instance = created(clock)
  const [spare, dear] = [signalsOf('spare', 0), signalsOf('dear', 0.1, { firstContentMs: 60_000 })]
  for (let count = 0; count < 200; count++) {
    clock.now += 1_000
    assert.equal(instance.pick([spare, dear], plainRequest()), dear)
  }
  assert.equal(instance.pick([spare], plainRequest()), spare)
})

test('a target that came back from a failure is tried at once, with one request', () => {
  const clock = { now: 0 }
  const instance = created(clock)
  const good = signalsOf('good', 1, { firstContentMs: 100 })
  const bad = signalsOf('bad', 1, { firstContentMs: 100 })
  picks(instance, [good, bad], 20)
  bad.failureRate = 1
  clock.now = 1_000
  assert.equal(countOf(picks(instance, [good, bad], 20), 'bad'), 0)
  bad.returnedAt = 1_500
  clock.now = 2_000
  assert.equal(instance.pick([good, bad], plainRequest()), bad)
  bad.inFlight = 1
  assert.equal(countOf(picks(instance, [good, bad], 20), 'bad'), 0)
})

test('a dear target is tried again after 10 s and 50 requests, not before both', () => {
  const clock = { now: 0 }
  const instance = created(clock)
  const dear = signalsOf('dear', 1, { firstContentMs: 1 })
  const cheap = signalsOf('cheap', 1, { firstContentMs: 100 })
  assert.equal(instance.pick([dear, cheap], plainRequest()), dear)
  dear.firstContentMs = 10_000
  clock.now = 9_999
  assert.equal(countOf(picks(instance, [dear, cheap], 60), 'dear'), 0)
  clock.now = 10_000
  assert.equal(instance.pick([dear, cheap], plainRequest()), dear)
  clock.now = 60_000
  assert.equal(countOf(picks(instance, [dear, cheap], 50), 'dear'), 0)
  assert.equal(instance.pick([dear, cheap], plainRequest()), dear)
})

test('whatever is observed, nobody with a weight is left out for long', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = seededRandom(50 + seed)
    const clock = { now: 0 }
    const instance = created(clock, seed)
    const candidates = Array.from({ length: 2 + (seed % 5) }, (_, index) => signalsOf(String(index)))
    const lastPick = new Map(candidates.map((signals) => [signals.target.id, 0]))
    for (let count = 1; count <= 5_000; count++) {
      clock.now += 400 * random()
      const signals = candidates[Math.floor(random() * candidates.length)]
      if (signals && random() < 0.2) {
        signals.firstContentMs = 10 ** (4 * random())
        signals.failureRate = random()
      }
      lastPick.set(instance.pick(candidates, plainRequest()).target.id, count)
      // 10 s are 50 requests on average here; others that are due go first.
      for (const [id, at] of lastPick) assert.ok(count - at < 120, `seed ${seed}: target ${id} starves`)
    }
  }
})
