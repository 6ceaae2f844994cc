import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { endpointDocs } from '../../scripts/write-endpoint-docs.ts'

test('docs/endpoints.md is as the routes are', async () => {
  const page = readFileSync(new URL('../../docs/endpoints.md', import.meta.url), 'utf8')
  assert.equal(page, await endpointDocs(page))
})
