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
    hung.evaluate()
  }
  /** A response whose first content takes this long. */
  const answer = (target: Target, ms: number, tokens = short): void => {
    const waiting = hung.begin(target, 'a', tokens)
    clock.now += ms
    hung.contentSeen(waiting)
  }
  return { hung, sick, well, begin, wait, answer }
}

test('a target is avoided while two attempts have waited over ten times the median and over two seconds', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  for (let count = 0; count < 5; count++) answer(well, 300)
  begin(sick)
  begin(sick)
  wait(2_900)
  assert.equal(hung.isHung(sick), false, 'ten times 300 ms are three seconds')
  wait(300)
  assert.deepEqual([hung.isHung(sick), hung.isHung(well)], [true, false])
})

test('a single attempt, however long, or two below two seconds do not mark a target as hung', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 10)
  begin(sick)
  wait(30_000)
  assert.equal(hung.isHung(sick), false)
  const other = targetOf({ id: 'other' })
  begin(other)
  begin(other)
  wait(1_900)
  assert.equal(hung.isHung(other), false)
})

test('newer attempts do not hide the two that have waited longest', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  begin(sick)
  begin(sick)
  for (let count = 0; count < 6; count++) {
    wait(400)
    begin(sick)
  }
  assert.equal(hung.isHung(sick), true)
})

test('without responses in the last minute no target is avoided', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  wait(61_000)
  begin(sick)
  begin(sick)
  wait(20_000)
  assert.equal(hung.isHung(sick), false)
})

test('waits are measured beyond the estimated prompt processing, also for attempts queued behind a long prompt', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  answer(well, 10_000, 20_000)
  begin(sick, 'a', 20_000)
  begin(sick, 'b', 20_000)
  begin(sick)
  begin(sick)
  wait(10_000)
  assert.equal(hung.isHung(sick), false)
  assert.deepEqual(hung.overdue(sick), [])
  wait(60_000)
  answer(well, 100)
  hung.evaluate()
  assert.equal(hung.isHung(sick), true)
})

test('first content ends the exclusion; then one probe at a time is allowed until one succeeds', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  const [first] = [begin(sick), begin(sick)]
  wait(2_500)
  assert.equal(hung.isHung(sick), true)
  hung.contentSeen(first)
  assert.equal(hung.isHung(sick), false)
  const probe = begin(sick)
  assert.equal(probe.isProbe, true)
  assert.equal(hung.isHung(sick), true, 'its probe is in flight')
  hung.contentSeen(probe)
  assert.equal(hung.isHung(sick), false)
  assert.equal(begin(sick).isProbe, false)
})

test('a probe without a response excludes the target for a minute', () => {
  const { hung, sick, well, begin, wait, answer } = setUp()
  answer(well, 100)
  const waiting = [begin(sick), begin(sick)]
  wait(2_500)
  for (const each of waiting) hung.end(each, true)
  wait(1)
  assert.equal(hung.isHung(sick), false, 'one client has disconnected: a probe may pass')
  const probe = begin(sick)
  assert.equal(probe.isProbe, true)
  assert.equal(hung.probeLimitMs(sick, 0, true), 2_000)
  wait(2_100)
  hung.end(probe, true)
  wait(59_000)
  assert.equal(hung.isHung(sick), true)
  wait(2_000)
  assert.equal(hung.isHung(sick), false)
})

test('attempts abandoned while they waited count for a minute, if they are from at least two clients', () => {
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
    assert.equal(hung.isHung(sick), expected)
    wait(60_000)
    assert.equal(hung.isHung(sick), false)
  }
})

test('clients that disconnect early and attempts that fail do not mark a target as hung', () => {
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
  assert.equal(hung.isHung(sick), false)
})

test('the only target of a model is never avoided', () => {
  const { hung, sick, begin, wait, answer } = setUp({ alone: true })
  answer(sick, 100)
  begin(sick)
  begin(sick)
  wait(30_000)
  assert.equal(hung.isHung(sick), false)
})

test('a probe may wait a few times the usual time, and at most ten seconds longer', () => {
  const { hung, well, sick, answer } = setUp()
  answer(well, 1_000, 0)
  assert.equal(hung.probeLimitMs(sick, 0, true), 5_000)
  assert.equal(hung.probeLimitMs(sick, 0, false), 10_000, 'no whole response is known')
  const slow = setUp()
  slow.answer(slow.well, 30_000, 0)
  assert.equal(slow.hung.probeLimitMs(slow.sick, 0, true), 40_000)
})
