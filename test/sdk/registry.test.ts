import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from '../../src/sdk/registry.ts'

test('what has no name of its own, or that of another, is refused by its kind', () => {
  const registry = new Registry<{ name: string }>('strategy')
  registry.add({ name: 'mine' })
  for (const nameless of [{}, { name: '' }, { name: 1 }]) {
    assert.throws(() => registry.add(nameless as { name: string }), { message: 'a strategy needs a name' })
  }
  assert.throws(() => registry.add({ name: 'mine' }), { message: 'strategy "mine" is registered twice' })
  assert.deepEqual(registry.names(), ['mine'])
})

test('a name that nobody has is told with those that somebody has', () => {
  const registry = new Registry<{ name: string }>('strategy')
  registry.add({ name: 'mine' })
  assert.equal(registry.find('yours'), undefined)
  assert.throws(() => registry.get('yours'), { message: 'no strategy "yours"; known: mine' })
})
