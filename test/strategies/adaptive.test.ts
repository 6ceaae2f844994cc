import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainRequest } from '../../bench/strategies/simulated-server.ts'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import type { SharingInstance } from '../../src/sdk/strategy.ts'
import { adaptive } from '../../src/strategies/adaptive.ts'
import { countOf, picks, signalsOf } from './signals.ts'

function created(clock = { now: 0 }, seed = 1): SharingInstance {
  return adaptive.create({ now: () => clock.now, random: seededRandom(seed) })
}

test('adaptive: the target with the faster first content and tokens is picked', () => {
  const slow = signalsOf('slow', 1, { firstContentMs: 300, perTokenMs: 20 })
  const fast = signalsOf('fast', 1, { firstContentMs: 200, perTokenMs: 10 })
  assert.equal(countOf(picks(created(), [slow, fast], 100), 'fast'), 100)
})

test('adaptive: time per token can outweigh fast first content', () => {
  const begins = signalsOf('begins', 1, { firstContentMs: 50, perTokenMs: 40 })
  const goesOn = signalsOf('goes on', 1, { firstContentMs: 1_000, perTokenMs: 10 })
  assert.equal(created().pick([begins, goesOn], plainRequest()), goesOn)
})

test('adaptive: a slower target is picked if the faster one has too much in flight', () => {
  const fast = signalsOf('fast', 1, { firstContentMs: 100 })
  const slow = signalsOf('slow', 1, { firstContentMs: 350 })
  const taken = [0, 1, 2, 3, 4].map((inFlight) => {
    fast.inFlight = inFlight
    return created().pick([fast, slow], plainRequest()).target.id
  })
  // (inFlight + 1) x 100 against 350: with 2 and 3 the two are within a quarter of each other, and either may be picked.
  assert.deepEqual(taken.slice(0, 2), ['fast', 'fast'])
  assert.equal(taken[4], 'slow')
})

test('adaptive: a target that fails half of its requests counts as twice as expensive', () => {
  const fails = signalsOf('fails', 1, { firstContentMs: 100, failureRate: 0.5 })
  const slow = signalsOf('slow', 1, { firstContentMs: 150 })
  assert.equal(created().pick([fails, slow], plainRequest()), slow)
  slow.firstContentMs = 300
  assert.equal(created().pick([fails, slow], plainRequest()), fails)
})

test('adaptive: a target that was never used counts as fast', () => {
  const known = signalsOf('known', 1, { firstContentMs: 100, perTokenMs: 10, inFlight: 1 })
  const unseen = signalsOf('unseen')
  assert.equal(created().pick([known, unseen], plainRequest()), unseen)
})

test('adaptive: targets of about equal cost share by weight', () => {
  const a = signalsOf('a', 1, { firstContentMs: 100, inFlight: 1 })
  const b = signalsOf('b', 0.5, { firstContentMs: 110 })
  const picked = picks(created(), [a, b], 9_000)
  // A chance of 2/3 has a standard deviation of 45 in 9,000.
  assert.ok(Math.abs(countOf(picked, 'a') - 6_000) < 225)
})

test('adaptive: a weight of 0 excludes a target, unless all have it', () => {
  const clock = { now: 0 }
  const instance = created(clock)
  const [spare, dear] = [signalsOf('spare', 0), signalsOf('dear', 0.1, { firstContentMs: 60_000 })]
  for (let count = 0; count < 200; count++) {
    clock.now += 1_000
    assert.equal(instance.pick([spare, dear], plainRequest()), dear)
  }
  assert.equal(instance.pick([spare], plainRequest()), spare)
})

test('adaptive: a target that recovered from a failure is tried immediately, with one request', () => {
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

test('adaptive: an expensive target is tried again only after both 10 s and 50 requests', () => {
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

test('adaptive: no target with a weight is left out for long, whatever is observed', () => {
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
