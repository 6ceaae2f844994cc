import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError } from '../../src/sdk/errors.ts'
import { childEnv } from '../helpers/child-env.ts'
import { freePort } from '../helpers/http.ts'
import { keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'

const models = modelsConfig({ demo: [{ id: 'demo', api_type: 'mock' }] })
const key = 'sk-0123456789abcdefghij'

test('an invalid keys file ends the start with exit code 2 and file, line, column and path', (t) => {
  const file = keysFile([])
  t.after(() => file.remove())
  writeFileSync(file.path, `{ "keys": [\n  { "id": "a", "key": "${key}", "max_token": 5 }\n] }\n`)
  const { status, stderr } = spawnSync(process.execPath, ['src/server.ts'], {
    cwd: join(import.meta.dirname, '../..'),
    env: childEnv({ ...file.env, LLM_ROUTER_SERVER_PORT: '0', LLM_ROUTER_LOG_FILENAME: '' }),
    encoding: 'utf8',
  })
  assert.equal(status, 2)
  assert.equal(stderr, `${file.path}:2:63: keys[0].max_token: no such field; did you mean "max_tokens"?\n`)
})

test('a missing keys file stops the start', async () => {
  const env = { LLM_ROUTER_AUTH_ENABLED: '1', LLM_ROUTER_AUTH_MEMORY_SEED_FILE: '/nowhere/keys.json' }
  await assert.rejects(startRouter({ env, models }), (error) => {
    assert.ok(error instanceof ConfigError)
    assert.match(
      error.errors.join(),
      /^LLM_ROUTER_AUTH_MEMORY_SEED_FILE: cannot read \/nowhere\/keys.json: no such file \(ENOENT\)/,
    )
    return true
  })
})

test('without LLM_ROUTER_AUTH_ENABLED keys are neither required nor checked', async (t) => {
  const router = await startRouter({ models })
  t.after(() => router.close())
  for (const headers of [{}, { authorization: 'Bearer whatever' }] as Record<string, string>[])
    assert.equal((await router.app.inject({ url: '/v1/models', headers })).statusCode, 200)
})

test('the admin port requires no key', async (t) => {
  const file = keysFile([{ id: 'a', key }])
  t.after(() => file.remove())
  const port = await freePort()
  const env = { ...file.env, LLM_ROUTER_ADMIN_PORT: `${port}`, LLM_ROUTER_USE_PROMETHEUS: '1' }
  const router = await startRouter({ env, models })
  t.after(() => router.close())
  for (const path of ['/metrics', '/api/status', '/livez', '/ui'])
    assert.equal((await fetch(`http://127.0.0.1:${port}${path}`)).status, 200, path)
  assert.equal((await fetch(`${router.url}/v1/models`)).status, 401)
})

test('public endpoints are those listed, with and without prefix; an unknown path in the list is logged', async (t) => {
  const file = keysFile([{ id: 'a', key }])
  t.after(() => file.remove())
  const env = { ...file.env, LLM_ROUTER_EP_PREFIX: '/llm', LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS: '/models,/pong' }
  const router = await startRouter({ env, models })
  t.after(() => router.close())
  const statusOf = async (url: string) => (await router.app.inject({ url })).statusCode
  for (const url of ['/models', '/models/', '/v1/models', '/llm/models', '/llm/v1/models'])
    assert.equal(await statusOf(url), 200, url)
  for (const url of ['/version', '/', '/v1/models/demo', '/llm/tags'])
    assert.equal(await statusOf(url), 401, url)
  assert.ok(router.logs.some(({ msg }) => String(msg).endsWith('PUBLIC_ENDPOINTS: no such path: /pong')))
})

test('probes require no key, whatever LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS lists', async (t) => {
  const file = keysFile([{ id: 'a', key }])
  t.after(() => file.remove())
  for (const listed of ['', '/models', '/healthz']) {
    const env = { ...file.env, LLM_ROUTER_AUTH_PUBLIC_ENDPOINTS: listed }
    const router = await startRouter({ env, models })
    t.after(() => router.close())
    for (const path of ['/livez', '/readyz', '/ping', '/api/ping', '/readyz?verbose']) {
      assert.equal((await fetch(router.url + path)).status, 200, path)
      assert.equal((await fetch(router.url + path, { method: 'HEAD' })).status, 200, path)
    }
    assert.equal((await fetch(`${router.url}/version`)).status, 401)
  }
})

test('a key that matches no model is reported in the log', async (t) => {
  const file = keysFile([{ id: 'a', key, models: ['gpt-*'] }])
  t.after(() => file.remove())
  const router = await startRouter({ env: file.env, models })
  t.after(() => router.close())
  assert.ok(router.logs.some(({ msg, client }) => client === 'a' && msg === 'this key may not use any model'))
})

test('rejected requests are not counted as in progress', async (t) => {
  const file = keysFile([{ id: 'a', key, surfaces: ['operator'] }])
  t.after(() => file.remove())
  const router = await startRouter({ env: { ...file.env, LLM_ROUTER_USE_PROMETHEUS: '1' }, models })
  t.after(() => router.close())
  for (let index = 0; index < 5; index++) await fetch(`${router.url}/v1/models`)
  const response = await fetch(`${router.url}/metrics`, { headers: { 'x-api-key': key } })
  assert.match(await response.text(), /^http_requests_in_progress 1$/m)
})
