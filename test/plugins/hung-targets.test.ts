import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HungTargets, type Waiting } from '../../src/plugins/health/hung-targets.ts'
import type { Target } from '../../src/sdk/target.ts'
import { targetOf } from '../helpers/models-file.ts'

const short = 50

function setUp({ alone = false } = {}) {
  const clock = { now: 1_000_000 }
  const hung = new HungTargets({ now: () => clock.now, hasOthers: () => !alone })
  const [sick, well] = [targetOf({ id: 'sick' }), targetOf({ id: 'well' })]
  const begin = (target: Target, client = 'a', tokens = short): Waiting => hung.begin(target, client, tokens)
  const wait = (ms: number): void => {
    clock.now += ms
    hung.look()
  }
  /** An answer whose first content takes so long. */
  const answer = (target: Target, ms: number, tokens = short): void => {
    const waiting = hung.begin(target, 'a', tokens)
    clock.now += ms
    hung.content(waiting)
  }
  return { hung, sick, well, begin, wait, answer }
}

test('a target is passed over while two attempts have waited over ten times the median and over two seconds', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  for (let count = 0; count < 5; count++) answer(well, 300)
  begin(sick)
  begin(sick)
  wait(2_900)
  assert.equal(hung.isPassedOver(sick), false, 'ten times 300 ms are three seconds')
  wait(300)
  assert.deepEqual([hung.isPassedOver(sick), hung.isPassedOver(well)], [true, false])
})

test('one attempt alone, whatever it waits, and two of fast models below two seconds say nothing', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 10)
  begin(sick)
  wait(30_000)
  assert.equal(hung.isPassedOver(sick), false)
  const other = targetOf({ id: 'other' })
  begin(other)
  begin(other)
  wait(1_900)
  assert.equal(hung.isPassedOver(other), false)
})

test('newer attempts do not hide the two that wait longest', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  begin(sick)
  begin(sick)
  for (let count = 0; count < 6; count++) {
    wait(400)
    begin(sick)
  }
  assert.equal(hung.isPassedOver(sick), true)
})

test('without answers in the last minute there is nothing to compare with', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  wait(61_000)
  begin(sick)
  begin(sick)
  wait(20_000)
  assert.equal(hung.isPassedOver(sick), false)
})

test('waits count beyond the estimated reading of their prompts, also for those that wait behind a long one', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  answer(well, 10_000, 20_000)
  begin(sick, 'a', 20_000)
  begin(sick, 'b', 20_000)
  begin(sick)
  begin(sick)
  wait(10_000)
  assert.equal(hung.isPassedOver(sick), false)
  assert.deepEqual(hung.overdue(sick), [])
  wait(60_000)
  answer(well, 100)
  hung.look()
  assert.equal(hung.isPassedOver(sick), true)
})

test('a first content ends it; then one probe at a time passes until one is answered', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  const [first] = [begin(sick), begin(sick)]
  wait(2_500)
  assert.equal(hung.isPassedOver(sick), true)
  hung.content(first)
  assert.equal(hung.isPassedOver(sick), false)
  const probe = begin(sick)
  assert.equal(probe.isProbe, true)
  assert.equal(hung.isPassedOver(sick), true, 'its probe is out')
  hung.content(probe)
  assert.equal(hung.isPassedOver(sick), false)
  assert.equal(begin(sick).isProbe, false)
})

test('a probe that waited in vain keeps the target out for a minute', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  const waiting = [begin(sick), begin(sick)]
  wait(2_500)
  for (const each of waiting) hung.end(each, true)
  wait(1)
  assert.equal(hung.isPassedOver(sick), false, 'one client has left: a probe may pass')
  const probe = begin(sick)
  assert.equal(probe.isProbe, true)
  assert.equal(hung.probeLimitMs(sick, 0, true), 2_000)
  wait(2_100)
  hung.end(probe, true)
  wait(59_000)
  assert.equal(hung.isPassedOver(sick), true)
  wait(2_000)
  assert.equal(hung.isPassedOver(sick), false)
})

test('attempts that were given up while they waited count for a minute, from two clients at least', () => {
  for (const [clients, expected] of [
    [['a', 'a', 'a'], false],
    [['a', 'b'], true],
  ] as const) {
    const { hung, sick, well, begin, wait, answer } = setUp()
    answer(well, 100)
    const waiting = clients.map((client) => begin(sick, client))
    wait(2_500)
    for (const each of waiting) hung.end(each, true)
    wait(1_000)
    assert.equal(hung.isPassedOver(sick), expected)
    wait(60_000)
    assert.equal(hung.isPassedOver(sick), false)
  }
})

test('clients that leave early, and attempts that fail, say nothing', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  for (const client of ['a', 'b', 'c', 'd']) {
    const early = begin(sick, client)
    wait(1_000)
    hung.end(early, true)
  }
  const failing = ['a', 'b'].map((client) => begin(sick, client))
  wait(1_500)
  for (const each of failing) hung.end(each, false)
  wait(1)
  assert.equal(hung.isPassedOver(sick), false)
})

test('of a model with one target nothing is held', () => {
  const { hung, sick, begin, wait, answer } = setUp({ alone: true })
  answer(sick, 100)
  begin(sick)
  begin(sick)
  wait(30_000)
  assert.equal(hung.isPassedOver(sick), false)
})

test('a probe may wait a few times what others need, and ten seconds more at most', () => {
  const { hung, well, sick, answer } = setUp()
  answer(well, 1_000, 0)
  assert.equal(hung.probeLimitMs(sick, 0, true), 5_000)
  assert.equal(hung.probeLimitMs(sick, 0, false), 10_000, 'nothing is known of whole answers')
  const slow = setUp()
  slow.answer(slow.well, 30_000, 0)
  assert.equal(slow.hung.probeLimitMs(slow.sick, 0, true), 40_000)
})
