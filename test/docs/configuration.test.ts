import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { configDocs } from '../../scripts/write-config-docs.ts'

test('the tables of docs/configuration.md are those of the schema', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
  assert.ok(page === configDocs(page), 'run: npm run docs:config')
  assert.match(page, /\| `api_type` \(needed\) \| string \|/)
})
