import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { configDocs } from '../../scripts/write-config-docs.ts'
import { ConfigSchema } from '../../src/config/settings/schema.ts'
import { loadConfig, variables } from '../../src/config/settings/settings.ts'
import { pages } from './blocks.ts'

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

test('docs/configuration.md describes every field and variable as the schemas do', () => {
  const page = read('docs/configuration.md')
  assert.equal(page, configDocs(page))
})

test('every setting has one variable and a description', () => {
  const settings = Object.keys(ConfigSchema.properties).toSorted()
  assert.deepEqual(variables.map(({ key }) => key).toSorted(), settings)
  const silent = Object.entries(ConfigSchema.properties).filter(([, schema]) => !schema.description)
  assert.deepEqual(
    silent.map(([key]) => key),
    [],
  )
})

test('the pages name no variable that is unknown to the router', () => {
  // test/docs/migration.test.ts covers the page that also names variables of the Python router.
  for (const file of pages.filter((name) => name !== 'docs/migration.md')) {
    const names = new Set(read(file).match(/\bLLM_ROUTER_[A-Z_]*[A-Z]\b/g))
    // An invalid value for any switch: a known variable is an error, and an unknown one is a warning.
    const unknown = [...names].filter((name) => {
      try {
        return loadConfig({ [name]: '-' }).warnings.some((line) => line.startsWith(`${name} is unknown`))
      } catch {
        return false // known, and the value is rejected
      }
    })
    assert.deepEqual(unknown, [], file)
  }
})
