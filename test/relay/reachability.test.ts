import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckResult } from '../../src/plugins/health/health-check.ts'
import { Reachability } from '../../src/plugins/health/server-watch.ts'

/** The states after each of these checks. */
function states(...results: CheckResult[]): string[] {
  const server = new Reachability('up')
  return results.map((result) => {
    server.add(result)
    return server.state
  })
}

test('two refused connections in a row mark a server as down, and one passed check as up again', () => {
  assert.deepEqual(states('refused', 'refused', 'passed'), ['degraded', 'refused', 'up'])
  assert.deepEqual(states('refused', 'passed', 'refused'), ['degraded', 'up', 'degraded'])
  assert.deepEqual(states('timeout', 'refused', 'refused'), ['degraded', 'degraded', 'refused'])
})

test('three timeouts or errors in a row mark a server as down, and two passed checks as up again', () => {
  const timeouts = states('timeout', 'timeout', 'timeout', 'passed', 'passed')
  assert.deepEqual(timeouts, ['degraded', 'degraded', 'silent', 'silent', 'up'])
  assert.deepEqual(states('failed', 'timeout', 'failed', 'passed', 'failed', 'passed', 'passed').slice(2), [
    'failing',
    'failing',
    'failing',
    'failing',
    'up',
  ])
  assert.deepEqual(states('timeout', 'timeout', 'passed', 'timeout').at(-1), 'degraded')
})

test('the reason why a server is down follows the latest checks', () => {
  const silent: CheckResult[] = ['timeout', 'timeout', 'timeout']
  assert.equal(states(...silent, 'refused').at(-1), 'silent')
  assert.equal(states(...silent, 'failed').at(-1), 'failing')
  assert.equal(states(...silent, 'refused', 'refused').at(-1), 'refused')
  assert.equal(states('refused', 'refused', ...silent).at(-1), 'silent')
})

test('what a server reports about itself applies immediately, until it reports something else', () => {
  assert.deepEqual(states('loading', 'passed', 'asleep', 'timeout', 'passed'), [
    'loading',
    'up',
    'asleep',
    'asleep',
    'up',
  ])
  assert.deepEqual(states('loading', 'timeout', 'refused', 'refused').at(-1), 'refused')
  assert.equal(states('refused', 'refused', 'loading').at(-1), 'loading')
})
