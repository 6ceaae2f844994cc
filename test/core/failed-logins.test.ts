import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FailedLogins } from '../../src/core/failed-logins.ts'

test('ten wrong keys at once, then one in six seconds', () => {
  let at = 0
  const logins = new FailedLogins(() => at)
  for (let index = 0; index < 10; index++) {
    assert.equal(logins.waitMs('a'), 0)
    logins.failed('a')
  }
  assert.equal(logins.waitMs('a'), 6_000)
  at = 5_999
  assert.ok(logins.waitMs('a') > 0)
  at = 6_000
  assert.equal(logins.waitMs('a'), 0)
  logins.failed('a')
  assert.ok(logins.waitMs('a') > 5_990)
})

test('one address does not pay for another', () => {
  const logins = new FailedLogins(() => 0)
  for (let index = 0; index < 20; index++) logins.failed('a')
  assert.equal(logins.waitMs('b'), 0)
})

test('two hundred thousand addresses do not fill the memory, and the newest are remembered', () => {
  const logins = new FailedLogins(() => 0)
  for (let index = 0; index < 200_000; index++) logins.failed(`address ${index}`)
  for (let index = 0; index < 9; index++) logins.failed('address 199999')
  for (let index = 0; index < 20_000; index++) logins.succeeded('a', `key ${index}`)
  assert.ok(logins.size <= 20_000)
  assert.ok(logins.waitMs('address 199999') > 0)
  assert.equal(logins.knows('a', 'key 19999'), true)
  assert.equal(logins.knows('a', 'key 0'), false)
})
