import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Verdict } from '../../src/core/lease.ts'
import { Breaker, breakerDefaults } from '../../src/relay/breaker.ts'

function setUp(): {
  breaker: Breaker
  wait(ms: number): void
  attempt(verdict: Verdict, pauseMs?: number): void
} {
  let now = 1_000_000
  const breaker = new Breaker({ now: () => now, random: () => 0.5 })
  return {
    breaker,
    wait: (ms) => {
      now += ms
    },
    attempt: (verdict, pauseMs) => breaker.end(breaker.begin(), verdict, pauseMs),
  }
}

function times(count: number, act: () => void): void {
  for (let index = 0; index < count; index++) act()
}

test('five failures in a row open it; a success in between starts the count anew', () => {
  const { breaker, attempt } = setUp()
  times(4, () => attempt('failure'))
  attempt('success')
  times(4, () => attempt('failure'))
  assert.equal(breaker.available, true)
  attempt('failure')
  assert.equal(breaker.state, 'open')
  assert.equal(breaker.available, false)
})

test('two failed connections or three slow answers are enough', () => {
  const connect = setUp()
  times(2, () => connect.attempt('connect'))
  assert.equal(connect.breaker.available, false)
  const slow = setUp()
  times(2, () => slow.attempt('slow'))
  assert.equal(slow.breaker.available, true)
  slow.attempt('slow')
  assert.equal(slow.breaker.available, false)
})

test('half of ten or more attempts within the window open it, though never five in a row failed', () => {
  const { breaker, attempt } = setUp()
  times(4, () => {
    attempt('failure')
    attempt('success')
  })
  assert.equal(breaker.available, true, 'eight are too few to tell')
  attempt('success')
  attempt('failure')
  assert.equal(breaker.available, false)
})

test('old failures do not count', () => {
  const { breaker, attempt, wait } = setUp()
  times(4, () => {
    attempt('failure')
    attempt('success')
  })
  wait(breakerDefaults.windowMs + 1)
  attempt('success')
  attempt('failure')
  assert.equal(breaker.available, true)
})

test('after its pause one probe may pass, and only one; two good ones close it', () => {
  const { breaker, attempt, wait } = setUp()
  times(2, () => attempt('connect'))
  wait(4_999)
  assert.equal(breaker.available, false)
  wait(1)
  assert.equal(breaker.state, 'half_open')
  assert.equal(breaker.available, true)
  const probe = breaker.begin()
  assert.equal(probe.probe, true)
  assert.equal(breaker.available, false, 'one probe at a time')
  breaker.end(probe, 'success')
  assert.equal(breaker.state, 'half_open')
  attempt('success')
  assert.equal(breaker.state, 'closed')
})

test('a probe that fails opens it for twice as long, up to the limit; long peace forgets that', () => {
  const { breaker, attempt, wait } = setUp()
  times(2, () => attempt('connect'))
  let pause = 5_000
  for (let round = 0; round < 8; round++) {
    wait(pause)
    attempt('failure')
    pause = Math.min(300_000, pause * 2)
    assert.equal(breaker.waitMs, pause)
  }
  wait(pause)
  times(2, () => attempt('success'))
  wait(breakerDefaults.forgetMs + 1)
  times(2, () => attempt('connect'))
  assert.equal(breaker.waitMs, 5_000)
})

test('a probe whose client left frees the place for another', () => {
  const { breaker, attempt, wait } = setUp()
  times(2, () => attempt('connect'))
  wait(5_000)
  attempt('nothing')
  assert.equal(breaker.available, true)
  assert.equal(breaker.state, 'half_open')
})

test('the end of an attempt from before the opening counts for nothing after it', () => {
  const { breaker, attempt, wait } = setUp()
  const old = [breaker.begin(), breaker.begin(), breaker.begin()]
  times(2, () => attempt('connect'))
  wait(5_000)
  const probe = breaker.begin()
  for (const ticket of old) breaker.end(ticket, 'success')
  assert.equal(breaker.state, 'half_open')
  assert.equal(breaker.available, false, 'the probe is still out')
  breaker.end(probe, 'failure')
  assert.equal(breaker.state, 'open')
})

test('a busy target rests as long as it asks, up to a limit, and is not held to have failed', () => {
  const { breaker, attempt, wait } = setUp()
  attempt('busy', 7_000)
  assert.deepEqual([breaker.available, breaker.waitMs, breaker.resting], [false, 7_000, 'busy'])
  wait(7_000)
  assert.equal(breaker.available, true)
  attempt('busy', 1e12)
  assert.equal(breaker.waitMs, 300_000)
  wait(300_000)
  assert.equal(breaker.state, 'closed')
})

test('a busy target that does not say how long rests longer each time', () => {
  const { breaker, attempt, wait } = setUp()
  const pauses: number[] = []
  times(7, () => {
    attempt('busy')
    pauses.push(breaker.waitMs)
    wait(breaker.waitMs)
  })
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
})

test('a target that refuses our key rests for a minute', () => {
  const { breaker, attempt } = setUp()
  attempt('misconfigured')
  assert.deepEqual([breaker.available, breaker.waitMs, breaker.resting], [false, 60_000, 'misconfigured'])
})

test('as a last resort an open target gets one try a second', () => {
  const { breaker, attempt, wait } = setUp()
  times(2, () => attempt('connect'))
  assert.equal(breaker.lastResort, false)
  wait(1_000)
  assert.equal(breaker.lastResort, true)
  attempt('connect')
  assert.equal(breaker.lastResort, false)
})
