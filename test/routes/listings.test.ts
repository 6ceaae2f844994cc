import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'

let router: TestRouter

before(async () => {
  const host = 'http://10.1.2.3:8000'
  router = await startRouter({
    models: modelsConfig({
      'org/name:7b': [
        {
          id: 'a',
          api_type: 'vllm',
          api_host: host,
          api_token: 'canary-token',
          model_path: '/canary/path',
          input_size: '4096',
        },
      ],
      embedder: [{ id: 'b', api_type: 'ollama', api_host: host, is_embedding: true }],
      demo: [{ api_type: 'mock' }],
      parked: [],
    }),
  })
})
after(() => router.close())

const get = async (path: string) => {
  const response = await fetch(router.url + path)
  return { status: response.status, text: await response.text(), type: response.headers.get('content-type') }
}

test('every list names the models with targets in the order of the file, and reveals no address, path or key', async () => {
  for (const path of [
    '/models',
    '/v1/models',
    '/api/models',
    '/api/v1/models',
    '/api/v0/models',
    '/tags',
    '/api/tags',
  ]) {
    const { status, text } = await get(path)
    assert.equal(status, 200, path)
    const body = JSON.parse(text)
    const entries: { id: string }[] = body.data ?? body.models
    assert.deepEqual(
      entries.map(({ id }) => id),
      ['org/name:7b', 'embedder', 'demo'],
      path,
    )
    assert.doesNotMatch(text, /10\.1\.2\.3|canary/, path)
  }
})

test('the entries contain what the clients of each dialect read', async () => {
  const openai = JSON.parse((await get('/v1/models')).text)
  assert.equal(openai.object, 'list')
  assert.deepEqual(Object.keys(openai), ['object', 'data'])
  assert.equal(openai.data[0].object, 'model')
  assert.ok(Number.isInteger(openai.data[0].created))
  assert.equal(openai.data[0].owned_by, 'vllm')
  assert.equal(openai.data[2].owned_by, 'mock')
  const tags = JSON.parse((await get('/api/tags')).text)
  assert.equal(typeof tags.response_time, 'number')
  const [tag] = tags.models
  assert.deepEqual(
    [tag.name, tag.model, tag.input_size, tag.details.context_length],
    ['org/name:7b', 'org/name:7b', 4096, 4096],
  )
  assert.ok(!Number.isNaN(Date.parse(tag.modified_at)))
  const studio = JSON.parse((await get('/api/v0/models')).text)
  assert.equal(studio.data[0].max_context_length, 4096)
  assert.equal(studio.data[1].type, 'embeddings')
})

test('the official client finds a model whose name contains a slash, escaped and plain', async () => {
  const client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'x', maxRetries: 0 })
  assert.equal((await client.models.retrieve('org/name:7b')).id, 'org/name:7b')
  assert.equal(JSON.parse((await get('/v1/models/org/name:7b')).text).id, 'org/name:7b')
  const ids: string[] = []
  for await (const model of client.models.list()) ids.push(model.id)
  assert.deepEqual(ids, ['org/name:7b', 'embedder', 'demo'])
  await assert.rejects(client.models.retrieve('nope'), { status: 404, code: 'model_not_found' })
})

test('health is reported as by Ollama and by the Python router, with and without the prefix', async () => {
  const home = await get('/')
  assert.deepEqual([home.status, home.text], [200, 'Ollama is running'])
  assert.match(home.type ?? '', /^text\/plain/)
  for (const path of ['/ping', '/api/ping', '/ping/']) {
    const body = JSON.parse((await get(path)).text)
    assert.deepEqual([body.status, body.body, typeof body.response_time], [true, 'pong', 'number'])
  }
  for (const path of ['/version', '/api/version']) {
    assert.match(JSON.parse((await get(path)).text).version, /^\d+\.\d+\.\d+$/)
  }
})

test('HEAD works wherever GET does, and sends no body', async () => {
  for (const path of ['/', '/ping', '/api/tags', '/v1/models', '/v1/models/demo', '/api/version']) {
    const response = await fetch(router.url + path, { method: 'HEAD' })
    assert.equal(response.status, 200, path)
    assert.equal(await response.text(), '')
    assert.ok(Number(response.headers.get('content-length')) > 0, path)
  }
})

test('the prefix can be changed or removed, and no path is registered twice', async (t) => {
  const models = modelsConfig({ demo: [{ api_type: 'mock' }] })
  const none = await startRouter({ env: { LLM_ROUTER_EP_PREFIX: '' }, models })
  const other = await startRouter({ env: { LLM_ROUTER_EP_PREFIX: 'llm/' }, models })
  t.after(() => Promise.all([none.close(), other.close()]))
  assert.equal((await fetch(`${none.url}/tags`)).status, 200)
  assert.equal((await fetch(`${other.url}/llm/tags`)).status, 200)
  assert.equal((await fetch(`${other.url}/llm/v1/models`)).status, 200)
  const chat = await fetch(`${none.url}/chat`, {
    method: 'POST',
    body: '{"model":"demo","messages":[],"stream":false}',
  })
  assert.equal(chat.status, 200)
})

test('an Anthropic client gets the models in its own format, in full and in pages', async () => {
  const client = new Anthropic({ baseURL: router.url, apiKey: 'x', maxRetries: 0 })
  const all = await Array.fromAsync(client.models.list())
  assert.deepEqual(
    all.map(({ id, type, display_name: name, max_input_tokens: input }) => [id, type, name, input]),
    [
      ['org/name:7b', 'model', 'org/name:7b', 4096],
      ['embedder', 'model', 'embedder', null],
      ['demo', 'model', 'demo', null],
    ],
  )
  const page = await client.models.list({ limit: 2 })
  assert.deepEqual(
    [page.data.length, page.has_more, page.first_id, page.last_id],
    [2, true, 'org/name:7b', 'embedder'],
  )
  const paged = await Array.fromAsync(client.models.list({ limit: 1 }))
  assert.deepEqual(
    paged.map(({ id }) => id),
    ['org/name:7b', 'embedder', 'demo'],
  )
  const before = await client.models.list({ before_id: 'demo', limit: 1 })
  assert.deepEqual([before.data[0]?.id, before.has_more], ['embedder', true])
  assert.equal((await client.models.retrieve('org/name:7b')).id, 'org/name:7b')
  await assert.rejects(client.models.retrieve('nope'), { status: 404, type: 'not_found_error' })
  await assert.rejects(client.models.list({ after_id: 'nope' }), {
    status: 400,
    type: 'invalid_request_error',
  })
})

test('the headers of Anthropic clients select their format, on every path of the list', async () => {
  for (const header of ['anthropic-version', 'anthropic-beta', 'x-api-key']) {
    for (const path of ['/v1/models', '/api/v1/models', '/models']) {
      const answer: unknown = await (await fetch(router.url + path, { headers: { [header]: 'x' } })).json()
      assert.deepEqual(
        Object.keys(Object(answer)),
        ['data', 'has_more', 'first_id', 'last_id'],
        path + header,
      )
    }
  }
  const refused = await fetch(`${router.url}/v1/models?limit=0`, { headers: { 'x-api-key': 'x' } })
  assert.equal(refused.status, 400)
})
