import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Breaker, breakerDefaults } from '../../src/plugins/health/breaker.ts'

type End = 'success' | 'connect' | 'failure' | 'slow' | 'nothing'

function setUp(): {
  breaker: Breaker
  wait(ms: number): void
  attempt(end: End): void
} {
  let now = 1_000_000
  const breaker = new Breaker({ now: () => now, random: () => 0.5 })
  return {
    breaker,
    wait: (ms) => {
      now += ms
    },
    attempt: (end) => {
      const ticket = breaker.begin()
      const isKnown = end === 'success' || end === 'connect'
      breaker.end(ticket, isKnown ? end : undefined)
      if (end === 'failure' || end === 'slow') breaker.fail(ticket, end)
    },
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
  times(5, () => attempt('failure'))
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
  times(5, () => attempt('failure'))
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
  breaker.end(probe, undefined)
  breaker.fail(probe, 'failure')
  assert.equal(breaker.state, 'open')
})

test('a server that cannot be reached is probed twice a minute at least', () => {
  const { breaker, attempt, wait } = setUp()
  times(2, () => attempt('connect'))
  times(8, () => {
    wait(breaker.waitMs)
    attempt('connect')
  })
  assert.equal(breaker.waitMs, 30_000)
})

test('a server that takes connections again is probed at once; one that fails requests is not', () => {
  const unreachable = setUp()
  times(2, () => unreachable.attempt('connect'))
  unreachable.breaker.reachable()
  assert.equal(unreachable.breaker.state, 'half_open')
  const failing = setUp()
  times(5, () => failing.attempt('failure'))
  failing.breaker.reachable()
  assert.equal(failing.breaker.state, 'open')
})

test('answers of a target that is used although it is open close it', () => {
  const { breaker, attempt } = setUp()
  times(5, () => attempt('failure'))
  attempt('success')
  assert.equal(breaker.state, 'half_open')
  attempt('success')
  assert.equal(breaker.state, 'closed')
})
