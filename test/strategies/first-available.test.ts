import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainRequest } from '../../bench/strategies/simulated-server.ts'
import { firstAvailable, firstAvailableOptim } from '../../src/strategies/first-available.ts'
import { noContext, signalsOf } from './signals.ts'

test('first_available reserves targets for one request each, in the order of the file whatever is observed', () => {
  const candidates = [
    signalsOf('slow', 0.1, { firstContentMs: 9_000, uses: 50, failureRate: 0.9 }),
    signalsOf('fast', 1, { firstContentMs: 10 }),
    signalsOf('never', 0),
  ]
  assert.equal(firstAvailable.exclusive, true)
  assert.equal(firstAvailable.affinity, undefined)
  const ordered = firstAvailable.create(noContext).order(candidates, plainRequest())
  assert.deepEqual(
    ordered.map(({ target }) => target.id),
    ['slow', 'fast', 'never'],
  )
})

test('first_available_optim lets the store choose the host, and passes it the order of the file', () => {
  const candidates = [signalsOf('b'), signalsOf('a')]
  assert.equal(firstAvailableOptim.exclusive, true)
  assert.equal(firstAvailableOptim.affinity, true)
  assert.deepEqual(firstAvailableOptim.create(noContext).order(candidates, plainRequest()), candidates)
})
