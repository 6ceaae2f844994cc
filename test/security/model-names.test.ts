import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'

const key = 'sk-of-a-team-with-one-model'
const operatorKey = 'sk-operator-0123456789abcdef'

for (const publicPaths of ['/,/healthz', '/,/healthz,/openapi.json'])
  test(`S35 nothing that a team can read names a model that its key may not use (${publicPaths} are public)`, (t) =>
    check(t, publicPaths))

async function check(t: TestContext, publicPaths: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-names-'))
  const keys = join(folder, 'keys.json')
  writeFileSync(keys, JSON.stringify({ keys: [{ id: 'team', key, models: ['visible'] }] }))
  const router = await startRouter({
    env: {
      LLM_ROUTER_AUTH_ENABLED: '1',
      LLM_ROUTER_AUTH_MEMORY_SEED_FILE: keys,
      LLM_ROUTER_ADMIN_KEY: operatorKey,
      LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS: publicPaths,
      LLM_ROUTER_HEALTH_INTERVAL: '1',
    },
    models: modelsConfig({
      zebra: [{ id: 'zebra-server', api_type: 'vllm', api_host: 'http://127.0.0.1:1' }],
      visible: [{ id: 'visible-server', api_type: 'mock' }],
    }),
  })
  t.after(async () => {
    await router.close()
    rmSync(folder, { recursive: true })
  })
  const read = async (path: string, token?: string): Promise<string> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return await (await fetch(router.url + path, { headers })).text()
  }
  await router.logged(({ msg, target }) => msg === 'health check' && target === 'zebra-server')

  const forOperators = JSON.parse(await read('/healthz', operatorKey))
  assert.deepEqual([forOperators.status, forOperators.models_without_usable_target], ['degraded', ['zebra']])
  assert.match(await read('/readyz', operatorKey), /zebra/)

  const paths = [
    '/healthz',
    '/readyz',
    '/openapi.json',
    '/v1/models',
    '/api/tags',
    '/api/ps',
    '/models',
    '/version',
  ]
  for (const path of [...paths, '/api/usage', '/api/builtin', '/v1beta/models', '/api/v0/models', '/']) {
    for (const token of [undefined, key, 'sk-invalid'])
      assert.doesNotMatch(await read(path, token), /zebra/, `${path} with ${token}`)
  }
  // Where no key is required, none is read.
  if (!publicPaths.includes('openapi')) assert.match(await read('/openapi.json', key), /"visible"/)
  assert.equal(JSON.parse(await read('/healthz')).status, 'degraded')
}
