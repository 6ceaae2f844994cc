import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'

const key = 'sk-cache-0123456789abcdef0123456789'
const json = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
const models = modelsConfig({ demo: [{ api_type: 'mock' }] })

let file: KeysFile
let router: TestRouter
let open: TestRouter

before(async () => {
  file = keysFile([{ id: 'one', key }])
  router = await startRouter({ env: file.env, models })
  open = await startRouter({ models })
})
after(async () => {
  await router.close()
  await open.close()
  file.remove()
})

test('no cache stores what a key protects: answers, streams, lists, documents and errors', async () => {
  const kept: Record<string, string | null> = {}
  for (const stream of [false, true]) {
    const answer = await post(`${router.url}/v1/chat/completions`, { model: 'demo', messages, stream }, json)
    assert.equal(answer.status, 200)
    kept[`stream ${stream}`] = answer.headers.get('cache-control')
  }
  for (const path of ['/v1/models', '/v1/models/demo', '/api/tags', '/v1/models/none', '/openapi.json']) {
    const answer = await fetch(router.url + path, { headers: json })
    await answer.arrayBuffer()
    kept[path] = answer.headers.get('cache-control')
  }
  const refused = await post(`${router.url}/v1/chat/completions`, { model: 'demo', messages })
  assert.equal(refused.status, 401)
  kept['without a key'] = refused.headers.get('cache-control')
  for (const [what, header] of Object.entries(kept)) assert.equal(header, 'no-store', what)
})

test('a probe without a key is not marked no-store, and a stream that no key protects stays no-cache', async () => {
  assert.equal((await fetch(`${router.url}/livez`)).headers.get('cache-control'), null)
  const { headers } = await post(`${open.url}/v1/chat/completions`, { model: 'demo', messages, stream: true })
  assert.equal(headers.get('cache-control'), 'no-cache')
})

test('a list of models names the request headers it depends on', async () => {
  for (const path of ['/v1/models', '/v1/models/demo']) {
    const { headers } = await fetch(open.url + path)
    assert.equal(
      headers.get('vary'),
      'authorization, anthropic-version, anthropic-beta, x-api-key, x-goog-api-key, x-goog-api-client',
    )
  }
})
