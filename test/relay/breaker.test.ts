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

test('a breaker opens after five failures in a row, and a success in between restarts the count', () => {
  const { breaker, attempt } = setUp()
  times(4, () => attempt('failure'))
  attempt('success')
  times(4, () => attempt('failure'))
  assert.equal(breaker.available, true)
  attempt('failure')
  assert.equal(breaker.state, 'open')
  assert.equal(breaker.available, false)
})

test('a breaker opens after two failed connections or three slow attempts', () => {
  const connect = setUp()
  times(2, () => connect.attempt('connect'))
  assert.equal(connect.breaker.available, false)
  const slow = setUp()
  times(2, () => slow.attempt('slow'))
  assert.equal(slow.breaker.available, true)
  slow.attempt('slow')
  assert.equal(slow.breaker.available, false)
})

test('a breaker opens if half of ten or more attempts within the window fail, even if never five in a row', () => {
  const { breaker, attempt } = setUp()
  times(4, () => {
    attempt('failure')
    attempt('success')
  })
  assert.equal(breaker.available, true, 'eight attempts are too few to decide')
  attempt('success')
  attempt('failure')
  assert.equal(breaker.available, false)
})

test('old failures are not counted', () => {
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

test('after the cooldown one probe at a time may pass, and two successful ones close the breaker', () => {
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

test('a failed probe doubles the cooldown up to the limit, and a long time without failures resets it', () => {
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

test('a probe whose client disconnects frees its slot for another probe', () => {
  const { breaker, attempt, wait } = setUp()
  times(2, () => attempt('connect'))
  wait(5_000)
  attempt('nothing')
  assert.equal(breaker.available, true)
  assert.equal(breaker.state, 'half_open')
})

test('the end of an attempt that began before the breaker opened is ignored afterwards', () => {
  const { breaker, attempt, wait } = setUp()
  const old = [breaker.begin(), breaker.begin(), breaker.begin()]
  times(2, () => attempt('connect'))
  wait(5_000)
  const probe = breaker.begin()
  for (const ticket of old) breaker.end(ticket, 'success')
  assert.equal(breaker.state, 'half_open')
  assert.equal(breaker.available, false, 'the probe is still running')
  breaker.end(probe, undefined)
  breaker.fail(probe, 'failure')
  assert.equal(breaker.state, 'open')
})

test('a server that cannot be reached is probed at least twice a minute', () => {
  const { breaker, attempt, wait } = setUp()
  times(2, () => attempt('connect'))
  times(8, () => {
    wait(breaker.waitMs)
    attempt('connect')
  })
  assert.equal(breaker.waitMs, 30_000)
})

test('a server that accepts connections again is probed immediately, and one that fails requests is not', () => {
  const unreachable = setUp()
  times(2, () => unreachable.attempt('connect'))
  unreachable.breaker.onReachable()
  assert.equal(unreachable.breaker.state, 'half_open')
  const failing = setUp()
  times(5, () => failing.attempt('failure'))
  failing.breaker.onReachable()
  assert.equal(failing.breaker.state, 'open')
})

test('successes of a target that is used despite its open breaker close it', () => {
  const { breaker, attempt } = setUp()
  times(5, () => attempt('failure'))
  attempt('success')
  assert.equal(breaker.state, 'half_open')
  attempt('success')
  assert.equal(breaker.state, 'closed')
})
