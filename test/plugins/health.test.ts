import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'

function stateOf(router: TestRouter): string {
  const [target] = router.app.models.find('small')?.targets ?? []
  assert.ok(target)
  return router.app.health.stateOf(target)
}

test('a server that fails its checks is down, and up again when they pass', async (t) => {
  const upstream = await startUpstream({ kind: 'reply', status: 503, body: '' })
  const provider = { id: 'box', api_type: 'vllm', api_host: `${upstream.url}/v1`, api_token: 'key' }
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '0.05' },
    models: modelsConfig({ small: [provider] }),
  })
  t.after(async () => {
    await router.close()
    await upstream.close()
  })
  await router.logged((line) => line.msg === 'health check' && line.healthy === false)
  assert.equal(stateOf(router), 'failing')
  assert.ok(upstream.requests.length >= 3, 'one bad check is not enough')
  upstream.rescript({ kind: 'reply', status: 200, body: '' })
  await router.logged((line) => line.msg === 'health check' && line.healthy === true)
  assert.equal(stateOf(router), 'up')
  for (const { method, url, headers } of upstream.requests) {
    // The request that detects llama.cpp is not a health check.
    if (url === '/v1/models') continue
    assert.equal(method, 'GET')
    assert.ok(url === '/health' || url === '/is_sleeping', url)
    assert.equal(headers.authorization, 'Bearer key')
  }
})

test('each provider type is checked on a cheap endpoint; cloud services and disabled checks are skipped', async (t) => {
  const upstream = await startUpstream({ kind: 'reply', status: 404, body: '' })
  const host = { api_host: upstream.url }
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '0.02' },
    models: modelsConfig({
      a: [
        { id: 'studio', api_type: 'lmstudio', ...host },
        { id: 'ollama', api_type: 'ollama', ...host },
        { id: 'own', api_type: 'openai', ...host, health_check: '/alive' },
        { id: 'cloud', api_type: 'openai', ...host },
        { id: 'off', api_type: 'vllm', ...host, health_check: false },
      ],
    }),
  })
  t.after(async () => {
    await router.close()
    await upstream.close()
  })
  await upstream.requestReceived(11)
  const paths = new Set(upstream.requests.map(({ url }) => url))
  assert.deepEqual([...paths].sort(), ['/alive', '/api/version', '/v1/models'])
  assert.ok(
    !router.logs.some(({ msg }) => msg === 'health check'),
    'a response of any kind is a sign of life',
  )
})

test('targets on one server with the same path and key share one check', async (t) => {
  const upstream = await startUpstream({ kind: 'reply', status: 200, body: '' })
  const target = (id: string, token?: string) => {
    return { id, api_type: 'vllm', api_host: upstream.url, ...(token ? { api_token: token } : {}) }
  }
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '0.05' },
    models: modelsConfig({ a: [target('one'), target('two')], b: [target('three'), target('own', 'key')] }),
  })
  t.after(() => Promise.all([router.close(), upstream.close()]))
  await upstream.requestReceived(29)
  const withKey = upstream.requests.filter(({ headers }) => headers.authorization !== undefined).length
  // Of two checks each has about half; with one check for each target this one would have a quarter.
  assert.ok(withKey > 10, `${withKey} of 30`)
})

test('a new target gets the state of its server, and a removed one is no longer checked', async (t) => {
  const failing = await startUpstream({ kind: 'reply', status: 503, body: '' })
  const other = await startUpstream({ kind: 'reply', status: 200, body: '' })
  const target = (id: string, { url }: { url: string }) => ({ id, api_type: 'vllm', api_host: url })
  const router = await startRouter({
    env: { LLM_ROUTER_HEALTH_INTERVAL: '0.1', LLM_ROUTER_CONFIG_POLL: '0' },
    models: modelsConfig({ small: [target('old', failing)] }),
  })
  t.after(() => Promise.all([router.close(), failing.close(), other.close()]))
  await router.logged((line) => line.msg === 'health check' && line.healthy === false)
  const take = async (models: Record<string, object[]>, added: string): Promise<void> => {
    writeFileSync(router.file, JSON.stringify(modelsConfig(models)))
    await router.logged((line) => Array.isArray(line.added) && line.added.includes(added))
  }
  await take({ small: [target('new', failing)] }, 'new')
  assert.equal(stateOf(router), 'failing')
  await take({ small: [target('next', other)] }, 'next')
  const asked = failing.requests.length
  await other.requestReceived(5)
  // One may have been in flight.
  assert.ok(failing.requests.length <= asked + 1)
})
