import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { closedPort, post } from '../helpers/http.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const expires = '2026-11-29T13:59:49.26486112Z'

/** An Ollama server with these models loaded, each with its context length. */
function ollama(loaded: Record<string, number>, asked: Behaviour = loadedAnswer) {
  return startUpstream(({ url }) => {
    if (url !== '/api/ps') return asked
    const models = Object.entries(loaded).map(([name, context]) => ({
      name,
      model: name,
      size: 7_000,
      size_vram: 6_000,
      expires_at: expires,
      context_length: context,
    }))
    return { kind: 'reply', body: { models } }
  })
}

const loadedAnswer: Behaviour = {
  kind: 'reply',
  body: { model: 'up', created_at: expires, response: '', done: true, done_reason: 'load' },
}

function listOf(path: string, body: unknown) {
  return startUpstream(({ url }) =>
    url === path ? { kind: 'reply', body } : { kind: 'reply', status: 404, body: {} },
  )
}

describe('model state reported by engines', () => {
  let servers: ScriptedUpstream[]
  let first: ScriptedUpstream
  let second: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    first = await ollama({ 'llama:latest': 8192, 'set:latest': 2048 })
    second = await ollama({ 'llama:latest': 4096 })
    const llamaCpp = await listOf('/v1/models', {
      data: [{ id: 'x', owned_by: 'llamacpp', meta: { n_ctx: 4096, n_ctx_train: 32768 } }],
    })
    const vllm = await listOf('/v1/models', { data: [{ id: 'big', owned_by: 'vllm', max_model_len: 16384 }] })
    const studio = await listOf('/api/v0/models', {
      data: [
        { id: 'here', state: 'loaded', max_context_length: 32768, loaded_context_length: 4096 },
        { id: 'there', state: 'not-loaded', max_context_length: 32768 },
      ],
    })
    const newStudio = await listOf('/api/v1/models', {
      models: [
        {
          key: 'gemma',
          loaded_instances: [{ id: 'g1', config: { context_length: 4096 } }],
          max_context_length: 9,
        },
      ],
    })
    servers = [first, second, llamaCpp, vllm, studio, newStudio]
    const at = ({ url }: ScriptedUpstream, api_type: string, more: object = {}) => ({
      api_type,
      api_host: url,
      ...more,
    })
    const group = {
      llama: { providers: [at(first, 'ollama', { input_size: 131072 }), at(second, 'ollama')] },
      cold: { providers: [at(first, 'ollama')] },
      set: { providers: [at(first, 'ollama', { input_size: 32768, num_ctx: 12288 })] },
      one: { providers: [at(llamaCpp, 'llamacpp', { model_path: 'any name' })] },
      mixed: { providers: [at(vllm, 'vllm', { model_path: 'big' }), at(llamaCpp, 'llamacpp')] },
      smaller: { providers: [at(vllm, 'vllm', { model_path: 'big', input_size: 8000 })] },
      here: { providers: [at(studio, 'lmstudio')] },
      there: { providers: [at(studio, 'lmstudio')] },
      gemma: { providers: [at(newStudio, 'lmstudio')] },
      gone: { providers: [{ api_type: 'ollama', api_host: await closedPort() }] },
      demo: { providers: [{ api_type: 'mock', input_size: 32768 }] },
    }
    router = await startRouter({ models: { g: group, active_models: { g: Object.keys(group) } } })
  })
  after(async () => {
    await router.close()
    await Promise.all(servers.map((server) => server.close()))
  })
  const get = async (path: string) => JSON.parse(await (await fetch(router.url + path)).text())

  const contexts = {
    llama: 4096,
    set: 12288,
    one: 4096,
    mixed: 4096,
    smaller: 8000,
    here: 4096,
    gemma: 4096,
    demo: 32768,
  }

  test('a model has the smallest context that its servers use now, in every list', async () => {
    const openai = new Map<string, Record<string, unknown>>(
      (await get('/v1/models')).data.map((each: { id: string }) => [each.id, each]),
    )
    const tags = new Map<string, Record<string, unknown>>(
      (await get('/api/tags')).models.map((each: { name: string }) => [each.name, each]),
    )
    const studio = new Map<string, Record<string, unknown>>(
      (await get('/api/v0/models')).data.map((each: { id: string }) => [each.id, each]),
    )
    for (const [model, context] of Object.entries(contexts)) {
      assert.deepEqual([model, openai.get(model)?.max_model_len], [model, context])
      assert.deepEqual([model, Object(tags.get(model)?.details).context_length], [model, context])
      assert.deepEqual([model, studio.get(model)?.max_context_length], [model, context])
      const shown = JSON.parse((await post(`${router.url}/api/show`, { model })).text)
      assert.deepEqual([model, shown.model_info['model.context_length']], [model, context])
      assert.deepEqual([model, (await get(`/v1/models/${model}`)).max_model_len], [model, context])
    }
    for (const unknown of ['cold', 'there', 'gone'])
      assert.equal(openai.get(unknown)?.max_model_len, undefined)
    const set = JSON.parse((await post(`${router.url}/api/show`, { model: 'set' })).text)
    assert.equal(set.parameters, 'num_ctx 12288')
  })

  test('/api/ps lists each loaded model once, and models that are always ready', async () => {
    const { models } = await get('/api/ps')
    assert.deepEqual(
      models.map(({ name, context_length }: Record<string, unknown>) => [name, context_length]),
      [
        ['llama', 4096],
        ['set', 2048],
        ['one', 4096],
        ['mixed', 4096],
        ['smaller', 16384],
        ['here', 4096],
        ['gemma', 4096],
        ['demo', 32768],
      ],
    )
    const [llama] = models
    assert.deepEqual([llama.size, llama.size_vram, llama.expires_at], [7_000, 6_000, expires])
  })

  test('clients that ask /api/ps repeatedly cause one request to each server', async () => {
    await get('/api/ps')
    const before = first.requests.length
    await Promise.all([get('/api/ps'), get('/api/ps')])
    assert.equal(first.requests.length, before)
  })

  const sentTo = ({ requests }: ScriptedUpstream): RecordedRequest[] =>
    requests.filter(({ method }) => method === 'POST')

  for (const [path, empty, done] of [
    ['/api/generate', {}, { response: '' }],
    ['/api/generate', { prompt: '' }, { response: '' }],
    ['/api/chat', { messages: [] }, { message: { role: 'assistant', content: '' } }],
  ] as const) {
    for (const [action, keep_alive] of [
      ['load', '10m'],
      ['unload', 0],
    ] as const) {
      test(`${path} with ${JSON.stringify(empty)} and keep_alive ${keep_alive} is a ${action} at every Ollama server`, async () => {
        const counts = [first, second].map((server) => sentTo(server).length)
        const answer = await post(router.url + path, { model: 'llama', ...empty, keep_alive, stream: false })
        assert.partialDeepStrictEqual(JSON.parse(answer.text), {
          model: 'llama',
          ...done,
          done: true,
          done_reason: action,
        })
        for (const [index, server] of [first, second].entries()) {
          const sent = sentTo(server).slice(counts[index])
          assert.deepEqual(
            sent.map(({ url, body }) => [url, body]),
            [['/api/generate', { model: 'llama', keep_alive, stream: false }]],
          )
        }
      })
    }
  }

  test('a load uses the context with which requests are sent', async () => {
    await post(`${router.url}/api/generate`, { model: 'set' })
    assert.deepEqual(sentTo(first).at(-1)?.body, { model: 'set', options: { num_ctx: 12288 }, stream: false })
  })

  test('a load that no server can perform is an error', async () => {
    const answer = await post(`${router.url}/api/generate`, { model: 'gone' })
    assert.equal(answer.status, 502)
    assert.equal(typeof JSON.parse(answer.text).error, 'string')
  })

  test('on servers that manage loading themselves, a load is done and an unload is reported as dropped', async () => {
    const loaded = await post(`${router.url}/api/generate`, { model: 'smaller', stream: false })
    assert.equal(JSON.parse(loaded.text).done_reason, 'load')
    assert.equal(loaded.headers.get('x-llm-router-lost'), null)
    const unloaded = await post(`${router.url}/api/chat`, { model: 'smaller', keep_alive: 0, stream: false })
    assert.equal(unloaded.status, 200)
    assert.match(unloaded.headers.get('x-llm-router-lost') ?? '', /keep_alive/)
  })
})

test('/api/ps answers quickly although a server hangs', async (t) => {
  const hangs = await startUpstream({ kind: 'hang' })
  const router = await startRouter({
    models: {
      g: {
        slow: { providers: [{ api_type: 'ollama', api_host: hangs.url }] },
        demo: { providers: [{ api_type: 'mock' }] },
      },
      active_models: { g: ['slow', 'demo'] },
    },
  })
  t.after(async () => {
    await router.close()
    await hangs.close()
  })
  const { models } = JSON.parse(await (await fetch(`${router.url}/api/ps`)).text())
  assert.deepEqual(
    models.map(({ name }: { name: string }) => name),
    ['demo'],
  )
})
