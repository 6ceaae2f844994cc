import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { endpointDocs } from '../../scripts/write-endpoint-docs.ts'

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

test('docs/endpoints.md matches the routes', async () => {
  const page = read('docs/endpoints.md')
  assert.equal(page, await endpointDocs(page))
})
