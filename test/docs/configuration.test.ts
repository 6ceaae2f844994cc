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

test('every setting has one variable and a meaning', () => {
  const settings = Object.keys(ConfigSchema.properties).toSorted()
  assert.deepEqual(variables.map(({ key }) => key).toSorted(), settings)
  const silent = Object.entries(ConfigSchema.properties).filter(([, schema]) => !schema.description)
  assert.deepEqual(
    silent.map(([key]) => key),
    [],
  )
})

test('the pages name no variable that the router does not know', () => {
  // test/docs/migration.test.ts looks at that page, which names those of the Python router too.
  for (const file of pages.filter((name) => name !== 'docs/migration.md')) {
    const names = new Set(read(file).match(/\bLLM_ROUTER_[A-Z_]*[A-Z]\b/g))
    // A value that no switch takes, so that what is known says so, and what is not known is a warning.
    const unknown = [...names].filter((name) => {
      try {
        return loadConfig({ [name]: '-' }).warnings.some((line) => line.startsWith(`${name} is unknown`))
      } catch {
        return false // known, and the value refused
      }
    })
    assert.deepEqual(unknown, [], file)
  }
})
