import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { byPath } from '../helpers/engine-answers.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const key = 'sk-operator-0123456789'
const headers = { authorization: `Bearer ${key}` }
let ollama: ScriptedUpstream
let llamaCpp: ScriptedUpstream
let studio: ScriptedUpstream
let plain: ScriptedUpstream
let broken: ScriptedUpstream
let router: TestRouter

before(async () => {
  const ok = { kind: 'reply', body: { success: true } } as const
  ollama = await startUpstream(
    byPath({ '/api/generate': { kind: 'reply', body: { model: 'up', done: true, done_reason: 'load' } } }),
  )
  llamaCpp = await startUpstream(byPath({ '/models/load': ok, '/models/unload': ok }))
  studio = await startUpstream(
    byPath({
      '/api/v1/models': {
        kind: 'reply',
        body: { models: [{ key: 'gemma', loaded_instances: [{ id: 'gemma:2' }, { id: 'gemma:3' }] }] },
      },
      '/api/v1/models/load': ok,
      '/api/v1/models/unload': ok,
    }),
  )
  plain = await startUpstream(byPath({}))
  broken = await startUpstream({ kind: 'reply', status: 500, body: { error: 'no' } })
  const at = (id: string, api_type: string, { url }: ScriptedUpstream, more: object = {}) => {
    return { id, api_type, api_host: url, ...more }
  }
  router = await startRouter({
    env: { LLM_ROUTER_ADMIN_KEY: key },
    models: modelsConfig({
      'team/all': [
        at('o', 'ollama', ollama, { model_path: 'up', keep_alive: '30m', num_ctx: 8192 }),
        at('l', 'llamacpp', llamaCpp, { model_path: 'tiny' }),
        at('s', 'lmstudio', studio, { model_path: 'gemma' }),
        at('v', 'vllm', plain),
        at('b', 'ollama', broken),
      ],
      desktop: [at('d', 'lmstudio', studio, { model_path: 'gemma' })],
      fixed: [at('f', 'vllm', plain), at('one', 'llamacpp', plain)],
      broken: [at('only', 'ollama', broken)],
    }),
  })
})
after(async () => {
  await router.close()
  await Promise.all([ollama, llamaCpp, studio, plain, broken].map((server) => server.close()))
})

async function ask(path: string, sent: Record<string, string> = headers) {
  const response = await fetch(`${router.url}/api/models/${path}`, { method: 'POST', headers: sent })
  return { status: response.status, text: await response.text() }
}
const last = ({ requests }: ScriptedUpstream) => {
  const { method, url, body } = requests.at(-1) ?? assert.fail('no request reached the upstream')
  return [method, url, body]
}

test('loading a model loads it on every server that supports it', async () => {
  const { status, text } = await ask('team/all/load')
  assert.equal(status, 200, text)
  assert.deepEqual(JSON.parse(text), {
    model: 'team/all',
    targets: [
      { id: 'o', result: 'loaded' },
      { id: 'l', result: 'loaded' },
      { id: 's', result: 'loaded' },
      { id: 'v', result: 'unsupported' },
      { id: 'b', result: 'failed', status: 500 },
    ],
  })
  const wished = { model: 'up', stream: false, keep_alive: '30m', options: { num_ctx: 8192 } }
  assert.deepEqual(last(ollama), ['POST', '/api/generate', wished])
  assert.deepEqual(last(llamaCpp), ['POST', '/models/load', { model: 'tiny' }])
  assert.deepEqual(last(studio), ['POST', '/api/v1/models/load', { model: 'gemma' }])
})

test('unloading a model unloads each of its instances', async () => {
  assert.equal((await ask('team/all/unload')).status, 200)
  assert.deepEqual(last(ollama), ['POST', '/api/generate', { model: 'up', stream: false, keep_alive: 0 }])
  assert.deepEqual(last(llamaCpp), ['POST', '/models/unload', { model: 'tiny' }])
  const unloaded = studio.requests.filter(({ url }) => url === '/api/v1/models/unload')
  assert.deepEqual(unloaded.map(({ body }) => Object(body).instance_id).toSorted(), ['gemma:2', 'gemma:3'])
})

test('loading requires an operator key, a known model and a server that supports it', async () => {
  const asked = ollama.requests.length
  assert.equal((await ask('team/all/load', {})).status, 401)
  assert.equal((await ask('team/all/load', { ...headers, authorization: 'Bearer sk-other' })).status, 401)
  assert.equal(ollama.requests.length, asked)
  assert.equal((await ask('nobody/load')).status, 404)
  assert.equal((await ask('team/all')).status, 404)
  assert.equal((await ask('fixed/load')).status, 400)
  assert.equal((await ask('broken/load')).status, 502)
})

test("Ollama's own load and unload requests also reach LM Studio and llama.cpp", async () => {
  const forms = { generate: '/api/generate', chat: '/api/chat' }
  for (const path of Object.values(forms)) {
    const loaded = await post(router.url + path, { model: 'desktop', messages: [] })
    assert.equal(loaded.status, 200, loaded.text)
    assert.deepEqual(last(studio), ['POST', '/api/v1/models/load', { model: 'gemma' }])
    const unloaded = await post(router.url + path, { model: 'desktop', messages: [], keep_alive: 0 })
    assert.equal(JSON.parse(unloaded.text.split('\n')[0] ?? '').done_reason, 'unload')
    assert.equal(last(studio)[1], '/api/v1/models/unload')
  }
})
