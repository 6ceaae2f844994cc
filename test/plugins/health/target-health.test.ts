import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HealthChange, TargetHealth } from '../../../src/plugins/health/target-health.ts'
import { type AttemptResult, movesOn, type Verdict } from '../../../src/relay/attempt/attempt-result.ts'
import { featuresOf } from '../../../src/relay/request/request-traits.ts'
import type { Judgement } from '../../../src/relay/run/lease.ts'
import { RouterError } from '../../../src/sdk/errors.ts'

const image = featuresOf('chat', new Set(['image']))
const imageAndTools = featuresOf('chat', new Set(['image', 'tools']))
const tools = featuresOf('chat', new Set(['tools']))
const embedding = featuresOf('embedding', new Set())

const success: AttemptResult = {
  type: 'success',
  answer: undefined,
  streamed: false,
  firstContentMs: undefined,
  usage: undefined,
}

function failure(verdict?: Verdict, pauseMs?: number): AttemptResult {
  return movesOn(new RouterError('upstream_error', 'it failed'), verdict, pauseMs)
}

function setUp() {
  let now = 1_000_000
  const changes: HealthChange['type'][] = []
  const health = new TargetHealth({
    now: () => now,
    random: () => 0.5,
    onUnhealthy: () => undefined,
    onChange: (_health, { type }) => changes.push(type),
  })
  return {
    health,
    changes,
    wait: (ms: number) => {
      now += ms
    },
    answer: (features = 0) => health.end(health.begin(features), success),
    fail: (judgement: Partial<Judgement> = {}) => {
      const ticket = health.begin(judgement.features ?? 0)
      health.end(ticket, failure())
      const all: Judgement = {
        answeredBy: 'target',
        kind: 'failure',
        features: 0,
        mayLack: undefined,
        fingerprint: 'x',
        ...judgement,
      }
      if (all.answeredBy === 'fallback') health.judge(ticket, { ...all, answeredBy: 'nobody' })
      health.judge(ticket, all)
    },
  }
}

function times(count: number, act: (index: number) => void): void {
  for (let index = 0; index < count; index++) act(index)
}

test('five failures of requests that another target answered eject a target, which is still used if all are ejected', () => {
  const { health, fail } = setUp()
  times(4, () => fail())
  assert.equal(health.standing(0), 'healthy')
  fail()
  assert.deepEqual([health.standing(0), health.usable], ['ejected', false])
})

test('a failure that no target made up for ranks a target last for ten seconds, or until its next success', () => {
  const { health, fail, answer, wait } = setUp()
  times(20, () => fail({ answeredBy: 'nobody' }))
  assert.deepEqual([health.standing(0), health.usable], ['deprioritized', true])
  wait(9_999)
  assert.equal(health.standing(0), 'deprioritized')
  wait(1)
  assert.equal(health.standing(0), 'healthy')
  fail({ answeredBy: 'nobody' })
  answer()
  assert.equal(health.standing(0), 'healthy')
})

test('failures with a feature exclude the target for requests that need all of it, and for no others', () => {
  const { health, fail } = setUp()
  times(5, () => fail({ features: image }))
  assert.deepEqual(
    [image, imageAndTools, tools, 0, embedding].map((features) => health.standing(features)),
    ['ejected', 'ejected', 'healthy', 'healthy', 'healthy'],
  )
})

test('an operation is a feature too', () => {
  const { health, fail } = setUp()
  times(5, () => fail({ features: embedding }))
  assert.deepEqual([health.standing(embedding), health.standing(0)], ['ejected', 'healthy'])
})

test('a feature is probed after its pause, and two successes restore it', () => {
  const { health, fail, answer, wait } = setUp()
  times(5, () => fail({ features: image }))
  wait(5_000)
  assert.equal(health.standing(image), 'healthy')
  const probe = health.begin(image)
  assert.equal(health.standing(image), 'ejected', 'one probe at a time')
  health.end(probe, success)
  answer(image)
  assert.equal(health.standing(image), 'healthy')
})

test('when a fallback model answers, three different requests in a row count as three failures', () => {
  const { health, fail, wait } = setUp()
  times(10, () => fail({ answeredBy: 'fallback', fingerprint: 'same' }))
  wait(10_000)
  assert.equal(health.standing(0), 'healthy')
  times(3, (index) => fail({ answeredBy: 'fallback', fingerprint: `other ${index}` }))
  wait(10_000)
  assert.equal(health.standing(0), 'healthy', 'four failures')
  fail({ answeredBy: 'fallback', fingerprint: 'last' })
  assert.equal(health.standing(0), 'ejected')
})

test('a success in between restarts the count of different requests', () => {
  const { health, fail, answer } = setUp()
  times(12, (index) => {
    fail({ answeredBy: 'fallback', fingerprint: `${index}` })
    if (index % 2 === 1) answer()
  })
  assert.notEqual(health.standing(0), 'ejected')
})

test('the same request counts again after five minutes', () => {
  const { health, fail, wait } = setUp()
  times(5, () => {
    fail({ answeredBy: 'fallback' })
    wait(300_000)
  })
  assert.notEqual(health.breaker.state, 'closed')
})

test('a rejected key marks a target as misconfigured immediately, or after three times if it has succeeded before', () => {
  const fresh = setUp()
  fresh.fail({ answeredBy: 'nobody', refusalStatus: 401 })
  assert.deepEqual(fresh.health.misconfigured, { status: 401 })
  const known = setUp()
  known.answer()
  times(2, () => known.fail({ refusalStatus: 401 }))
  assert.equal(known.health.misconfigured, undefined)
  known.fail({ refusalStatus: 401 })
  assert.deepEqual(known.health.misconfigured, { status: 401 })
  assert.deepEqual([known.health.standing(0), known.health.usable], ['deprioritized', true])
})

test('a misconfigured target gets one request a minute, and recovers with its next success', () => {
  const { health, fail, answer, wait, changes } = setUp()
  fail({ refusalStatus: 403 })
  assert.equal(health.isTrialDue, false)
  wait(60_000)
  assert.equal(health.isTrialDue, true)
  health.end(health.begin(0), failure('nothing'))
  assert.equal(health.isTrialDue, false, 'one request a minute')
  answer()
  assert.deepEqual([health.misconfigured, health.standing(0)], [undefined, 'healthy'])
  assert.deepEqual(changes, ['misconfigured', 'configured'])
})

test('one client that repeats a rejected request does not make a target misconfigured', () => {
  const { health, fail, answer } = setUp()
  answer()
  times(10, () => fail({ answeredBy: 'nobody', refusalStatus: 404 }))
  assert.equal(health.misconfigured, undefined)
})

test('a cooldown that the target asked for excludes it, for five minutes at most', () => {
  const { health, wait } = setUp()
  health.end(health.begin(0), failure('cooldown', 1e12))
  assert.deepEqual([health.standing(0), health.cooldownMs, health.usable], ['unavailable', 300_000, false])
  wait(300_000)
  assert.equal(health.standing(0), 'healthy')
})

test('a probe ends when it is known which target answered its request, and no other one is sent before', () => {
  const { health, fail, wait } = setUp()
  times(5, () => fail())
  wait(6_000)
  const ticket = health.begin(0)
  health.end(ticket, failure())
  assert.equal(health.standing(0), 'ejected')
  const judgement = { kind: 'failure', features: 0, mayLack: undefined, fingerprint: 'x' } as const
  health.judge(ticket, { ...judgement, answeredBy: 'unknown' })
  assert.equal(health.standing(0), 'healthy', 'its client disconnected: the next request is the probe')
  const next = health.begin(0)
  health.end(next, failure())
  health.judge(next, { ...judgement, answeredBy: 'target' })
  assert.equal(health.breaker.state, 'open')
})
