import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from '../../src/sdk/registry.ts'

test('an entry without a unique name is rejected with its kind', () => {
  const registry = new Registry<{ name: string }>('strategy')
  registry.add({ name: 'mine' })
  for (const nameless of [{}, { name: '' }, { name: 1 }]) {
    assert.throws(() => registry.add(nameless as { name: string }), { message: 'a strategy needs a name' })
  }
  assert.throws(() => registry.add({ name: 'mine' }), { message: 'strategy "mine" is registered twice' })
  assert.deepEqual(registry.names(), ['mine'])
})

test('the error for an unknown name lists the known ones', () => {
  const registry = new Registry<{ name: string }>('strategy')
  registry.add({ name: 'mine' })
  assert.equal(registry.find('yours'), undefined)
  assert.throws(() => registry.get('yours'), { message: 'no strategy "yours"; known: mine' })
})
