import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LiveSignals } from '../../src/plugins/balancer/live-signals.ts'
import type { Outcome } from '../../src/sdk/strategy.ts'
import { targetOf } from '../helpers/models-file.ts'

const success = (durationMs: number, firstContentMs?: number): Outcome => ({
  result: 'success',
  durationMs,
  firstContentMs,
})
const failure: Outcome = { result: 'failure', durationMs: 1, firstContentMs: undefined }
const cancelled: Outcome = { result: 'cancelled', durationMs: 1, firstContentMs: undefined }

function signalsAfter(outcomes: readonly Outcome[]): LiveSignals {
  const signals = new LiveSignals(targetOf({}), 0)
  for (const [index, outcome] of outcomes.entries()) {
    signals.countPicked()
    signals.settled(outcome, index + 1)
  }
  return signals
}

test('the time to first content follows the latest requests, and failures do not change it', () => {
  assert.equal(signalsAfter([success(900, 100)]).firstContentMs, 100)
  const moved = signalsAfter([success(900, 100), success(900, 200)]).firstContentMs ?? 0
  assert.ok(moved > 100 && moved < 200)
  assert.equal(signalsAfter([success(900, 100), failure, cancelled]).firstContentMs, 100)
  const long = signalsAfter([success(900, 100), ...Array.from({ length: 40 }, () => success(900, 300))])
  assert.ok((long.firstContentMs ?? 0) > 299)
})

test('an answer that arrives whole counts with its full duration', () => {
  assert.equal(signalsAfter([success(900)]).firstContentMs, 900)
})

test('the time per token is measured after the first token', () => {
  const signals = new LiveSignals(targetOf({}), 0)
  signals.countPicked()
  signals.settled(success(1_100, 100), 1, { tokens: 11 })
  assert.equal(signals.perTokenMs, 100)
})

test("a client that disconnects does not affect the target's signals", () => {
  const signals = signalsAfter([cancelled, cancelled])
  assert.deepEqual([signals.failureRate, signals.uses, signals.inFlight], [0, 2, 0])
})

test('a target that failed repeatedly counts as returned after its next success', () => {
  assert.equal(signalsAfter([failure, failure, success(1)]).returnedAt, 0)
  assert.equal(signalsAfter([failure, failure, failure]).returnedAt, 0)
  assert.equal(signalsAfter([failure, failure, failure, success(1), success(1)]).returnedAt, 4)
})
