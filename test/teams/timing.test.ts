import assert from 'node:assert/strict'
import crypto, { createHash } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { test } from 'node:test'
import { directoryKeys } from '../../src/plugins/auth/directory-keys.ts'

const keyOf = (name: string): string => `sk-llmr-0123456789-${name}`
const past = Date.parse('2020-01-01')

test('a key is compared once, in full and in constant time, whether valid, expired, disabled or unknown', (t) => {
  const clients = [
    { id: 'alice', record: {} },
    { id: 'off', record: { enabled: false } },
  ]
  const keys = ['valid', 'ended', 'disabled'].map((name) => ({
    id: name,
    client: name === 'disabled' ? 'off' : 'alice',
    sha256: createHash('sha256').update(keyOf(name)).digest('hex'),
    endsAt: name === 'ended' ? past : null,
  }))
  const nothing = { revision: 1, groups: [], prices: [], budgets: [], endedSessions: [] }
  const { ring } = directoryKeys({ ...nothing, clients, keys })
  // Updates the named exports that modules have imported.
  const compared = t.mock.method(crypto, 'timingSafeEqual')
  const digested = t.mock.method(crypto, 'createHmac')
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
  for (const [name, error] of [
    ['valid', undefined],
    ['ended', 'expired'],
    ['disabled', 'disabled'],
    ['unknown', 'unknown'],
    ['vali', 'unknown'],
    ['', 'unknown'],
    ['x'.repeat(10_000), 'unknown'],
  ] as const) {
    compared.mock.resetCalls()
    digested.mock.resetCalls()
    assert.equal(ring.find(keyOf(name)).error, error, name)
    assert.equal(digested.mock.callCount(), 1, name)
    assert.deepEqual(
      compared.mock.calls.map(({ arguments: sides }) => sides.map((side) => side.byteLength)),
      [[32, 32]],
      name,
    )
  }
})
