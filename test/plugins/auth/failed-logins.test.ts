import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FailedLogins } from '../../../src/plugins/auth/failed-logins.ts'

const long = 'sk-0123456789abcdefg'

test('an address may fail with ten different keys, then with one every six seconds', () => {
  let at = 0
  const logins = new FailedLogins(() => at)
  for (let index = 0; index < 10; index++) {
    assert.equal(logins.waitMs('a'), 0)
    logins.failed('a', `wrong ${index}`)
  }
  assert.equal(logins.waitMs('a'), 6_000)
  at = 5_999
  assert.ok(logins.waitMs('a') > 0)
  at = 6_000
  assert.equal(logins.waitMs('a'), 0)
  logins.failed('a', 'another')
  assert.ok(logins.waitMs('a') > 5_990)
})

test('a repeated invalid key counts once', () => {
  const logins = new FailedLogins(() => 0)
  for (let index = 0; index < 1_000; index++) logins.failed('a', 'wrong')
  for (let index = 0; index < 8; index++) logins.failed('a', `wrong ${index}`)
  assert.equal(logins.waitMs('a'), 0)
  logins.failed('a', 'the tenth')
  assert.equal(logins.waitMs('a'), 6_000)
  assert.equal(logins.hasFailed('a', 'wrong'), true)
  assert.equal(logins.hasFailed('a', 'new'), false)
  assert.equal(logins.hasFailed('b', 'wrong'), false)
})

test('the last thousand invalid keys of an address are remembered', () => {
  const logins = new FailedLogins(() => 0)
  logins.failed('a', 'first')
  logins.failed('a', 'second')
  for (let index = 0; index < 998; index++) logins.failed('a', `wrong ${index}`)
  logins.failed('a', 'first')
  logins.failed('a', 'one more')
  assert.equal(logins.hasFailed('a', 'first'), true)
  assert.equal(logins.hasFailed('a', 'second'), false)
})

test('a valid key passes while its address has to wait, if it is long or has passed before', () => {
  const logins = new FailedLogins(() => 0)
  for (let index = 0; index < 10; index++) logins.failed('a', `wrong ${index}`)
  assert.equal(logins.alwaysPasses('a', long, 'id'), true)
  assert.equal(logins.alwaysPasses('a', long.slice(1), 'id'), false)
  logins.succeeded('a', 'id')
  assert.equal(logins.alwaysPasses('a', long.slice(1), 'id'), true)
  assert.equal(logins.alwaysPasses('b', long.slice(1), 'id'), false)
})

test('failed logins of one address do not affect another', () => {
  const logins = new FailedLogins(() => 0)
  for (let index = 0; index < 20; index++) logins.failed('a', `wrong ${index}`)
  assert.equal(logins.waitMs('b'), 0)
})

test('memory stays bounded with many addresses and keys, and the newest are remembered', () => {
  const logins = new FailedLogins(() => 0)
  for (let index = 0; index < 20_000; index++) logins.failed(`address ${index}`, 'wrong')
  for (let index = 0; index < 9; index++) logins.failed('address 19999', `wrong ${index}`)
  for (let index = 0; index < 20_000; index++) logins.succeeded('a', `key ${index}`)
  assert.ok(logins.size <= 30_010, `${logins.size}`)
  assert.ok(logins.waitMs('address 19999') > 0)
  assert.equal(logins.alwaysPasses('a', 'short', 'key 19999'), true)
  assert.equal(logins.alwaysPasses('a', 'short', 'key 0'), false)
  for (let index = 0; index < 120_000; index++) logins.failed(`many ${index % 120}`, `wrong ${index}`)
  assert.ok(logins.size <= 120_000, `${logins.size}`)
  assert.equal(logins.hasFailed('many 119', 'wrong 119999'), true)
})
