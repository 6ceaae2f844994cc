import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reuseUnchanged } from '../../src/config/models/reuse.ts'
import { load } from '../helpers/models-file.ts'

interface ModelText {
  providers?: object[]
  providers_sleep?: object[]
}

function modelsOf(group: Record<string, ModelText>) {
  return load({ g: group, active_models: { g: Object.keys(group) } }).models
}

const a = { id: 'a', api_type: 'openai', api_host: 'http://a' }
const b = { id: 'b', api_type: 'openai', api_host: 'http://b' }

test('unchanged models stay the same objects', () => {
  const former = modelsOf({ m: { providers: [a, b] }, n: { providers: [{ ...a, id: 'n' }] } })
  const { models, change } = reuseUnchanged(
    former,
    modelsOf({ n: { providers: [{ ...a, id: 'n' }] }, m: { providers: [a, b] } }),
  )
  assert.equal(models[0], former[1])
  assert.equal(models[1], former[0])
  assert.deepEqual(change, { added: [], removed: [], replaced: new Map() })
})

test('a target without a configured id stays the same when one is added before it', () => {
  const { id: _none, ...nameless } = a
  const former = modelsOf({ m: { providers: [nameless] } })
  const { models, change } = reuseUnchanged(former, modelsOf({ m: { providers: [b, nameless] } }))
  assert.equal(models[0]?.targets[1], former[0]?.targets[0])
  assert.deepEqual([change.added.length, change.removed.length], [1, 0])
})

test('a model whose own settings change keeps its targets', () => {
  const former = modelsOf({ m: { providers: [a] } })
  const next = load({
    g: { m: { providers: [a], capabilities: ['tools'] } },
    active_models: { g: ['m'] },
  }).models
  const { models, change } = reuseUnchanged(former, next)
  assert.notEqual(models[0], former[0])
  assert.equal(models[0]?.targets[0], former[0]?.targets[0])
  assert.equal(change.added.length + change.removed.length, 0)
})

test('a different order of targets results in another model with the same targets', () => {
  const former = modelsOf({ m: { providers: [a, b] } })
  const { models } = reuseUnchanged(former, modelsOf({ m: { providers: [b, a] } }))
  assert.notEqual(models[0], former[0])
  assert.deepEqual(models[0]?.targets, former[0]?.targets.toReversed())
})

test('a target that becomes a standby stays the same object', () => {
  const former = modelsOf({ m: { providers: [a, b] } })
  const { models, change } = reuseUnchanged(former, modelsOf({ m: { providers: [a], providers_sleep: [b] } }))
  assert.equal(models[0]?.standby[0], former[0]?.targets[1])
  assert.equal(change.removed.length, 0)
})

test('a changed weight results in a new target that replaces the former', () => {
  const former = modelsOf({ m: { providers: [a] } })
  const { models, change } = reuseUnchanged(former, modelsOf({ m: { providers: [{ ...a, weight: 0.5 }] } }))
  const [target] = models[0]?.targets ?? []
  assert.ok(target)
  assert.equal(target.weight, 0.5)
  assert.deepEqual([change.added, change.removed], [[target], former[0]?.targets])
  assert.equal(change.replaced.get(target), former[0]?.targets[0])
})

for (const [what, changed] of Object.entries({
  address: { api_host: 'http://c' },
  key: { api_token: 'k' },
  'name of the model there': { model_path: 'x' },
  type: { api_type: 'ollama' },
})) {
  test(`a target with a different ${what} does not replace the former one`, () => {
    const { change } = reuseUnchanged(
      modelsOf({ m: { providers: [a] } }),
      modelsOf({ m: { providers: [{ ...a, ...changed }] } }),
    )
    assert.deepEqual([change.added.length, change.removed.length, change.replaced.size], [1, 1, 0])
  })
}

test('an id that moves to another model is another target', () => {
  const former = modelsOf({ m: { providers: [a] }, n: { providers: [b] } })
  const { change } = reuseUnchanged(former, modelsOf({ n: { providers: [b, a] } }))
  assert.deepEqual([change.added.length, change.removed.length, change.replaced.size], [1, 1, 0])
})
