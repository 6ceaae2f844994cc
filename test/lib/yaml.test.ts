import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readYaml } from '../../src/lib/yaml.ts'

const text = `# servers
x-base: &base
  api_type: mock
models:
  one:
    providers:
      - <<: *base
        id: a
      - {id: b, weight: 0.5}
    id: first
    id: last
`

test('YAML supports anchors, merge keys and comments, and the last of two members applies', () => {
  const document = readYaml(text)
  assert.ok(!document.syntaxError)
  const { models } = document.value as { models: { one: Record<string, unknown> } }
  assert.deepEqual(models.one.providers, [
    { api_type: 'mock', id: 'a' },
    { id: 'b', weight: 0.5 },
  ])
  assert.equal(models.one.id, 'last')
  assert.deepEqual(document.duplicates, [
    { path: ['models', 'one', 'id'], position: { line: 10, column: 9 } },
  ])
})

test('each YAML node has its position, and a path to a missing node has that of its nearest parent', () => {
  const document = readYaml(text)
  assert.ok(!document.syntaxError)
  assert.deepEqual(document.find(['models', 'one', 'providers', 1, 'weight']), { line: 9, column: 25 })
  assert.deepEqual(document.find(['models', 'one', 'providers', 1, 'nothing', 3]), { line: 9, column: 9 })
})

test('invalid YAML yields the position of the first error, without the text', () => {
  assert.deepEqual(readYaml('a: 1\nb: [1, 2\nc: 3\n').syntaxError, {
    line: 3,
    column: 1,
    reason: 'the indentation does not fit the lines above',
  })
  const nested = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)
  assert.ok(readYaml(['a0: &a0 [x, x]', ...nested].join('\n')).syntaxError, 'exponentially growing aliases')
})
