import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { endpointDocs } from '../../scripts/write-endpoint-docs.ts'
import { modelsConfig, startRouter } from '../helpers/router.ts'

const read = (file: string): string => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

test('docs/endpoints.md is as the routes are', async () => {
  const page = read('docs/endpoints.md')
  assert.equal(page, await endpointDocs(page))
})

test('every path in the table of README.md is a route, and every kind of endpoint is in it', async (t) => {
  const router = await startRouter({
    env: { LLM_ROUTER_USE_PROMETHEUS: '1' },
    models: modelsConfig({ demo: [{ api_type: 'mock' }] }),
  })
  t.after(() => router.close())
  const [, table = ''] = read('README.md').split('\n## Endpoints\n')
  const named = [...(table.split('\n## ')[0] ?? '').matchAll(/`((?:P|)\/[\w/.]*)`/g)]
  const paths = named.map(([, path = '']) => path.replace(/^P\//, '/api/')).filter((path) => path !== '/api')
  const routes = router.app.apiDocs.routes()
  const known = new Set(routes.map(({ url }) => url))
  // Below these the table says once for all that there are more.
  const below = ['/v1', '/api/...', '/api/v1']
  assert.deepEqual(
    paths.filter((path) => !known.has(path) && !below.includes(path)),
    [],
  )
  const inTable = new Set(paths)
  const tags = new Set(routes.map(({ docs }) => docs.tag))
  const shown = new Set(routes.filter(({ url }) => inTable.has(url)).map(({ docs }) => docs.tag))
  assert.deepEqual(
    [...tags].filter((tag) => !shown.has(tag)),
    [],
  )
})
