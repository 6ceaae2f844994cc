import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { modelsConfigJsonSchema } from '../../scripts/write-schema.ts'
import { loadModels } from '../../src/config/models/load.ts'
import { mock } from '../../src/providers/mock/index.ts'
import { Registry } from '../../src/sdk/registry.ts'

const schemaUrl = new URL('../../resources/models-config.schema.json', import.meta.url)
const exampleUrl = new URL('../../resources/configs/models-config.json', import.meta.url)

test("the shipped JSON Schema matches the router's validation (npm run schema writes it)", () => {
  assert.equal(readFileSync(schemaUrl, 'utf8'), modelsConfigJsonSchema())
})

test('the JSON Schema accepts the lenient forms that the router accepts', () => {
  const { properties } = JSON.parse(modelsConfigJsonSchema()).additionalProperties.additionalProperties
    .properties.providers.items
  assert.deepEqual(properties.weight.type, ['number', 'string', 'null'])
  assert.deepEqual(properties.tool_calling.enum, [true, false, 'true', 'false', 1, 0, null])
  assert.deepEqual(properties.model_path.type, ['string', 'null'])
  // Absent if the provider names a server.
  assert.deepEqual(properties.api_type.type, ['string', 'null'])
})

test('the shipped configuration loads and serves the embedded model', () => {
  const providers = new Registry<typeof mock>('provider type')
  providers.add(mock)
  const { models, warnings } = loadModels(readFileSync(exampleUrl, 'utf8'), {
    providers,
    env: {},
    readFile: () => assert.fail('the example names no files'),
    baseDir: '/',
  })
  assert.deepEqual(
    models.map(({ alias, targets }) => [alias, targets.map((target) => target.type.name)]),
    [['demo', ['mock']]],
  )
  assert.deepEqual(warnings, [])
})

test('the shipped configuration refers editors to the JSON Schema', () => {
  const { $schema } = JSON.parse(readFileSync(exampleUrl, 'utf8'))
  assert.ok(existsSync(new URL($schema, exampleUrl)), $schema)
  assert.equal(new URL($schema, exampleUrl).href, schemaUrl.href)
})
