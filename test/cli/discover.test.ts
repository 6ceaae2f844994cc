import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { configForServers, type FoundServer } from '../../src/config/models/discovered.ts'
import { discover } from '../../src/fleet/discovery.ts'
import { closedPort } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { runCli } from './run-cli.ts'

type Answers = Record<string, unknown>

/** A server that responds to GET by path, and to Ollama's show by the name of the model. */
function serverOf(answers: Answers, shows: Answers = {}) {
  return startUpstream(({ url, body }) => {
    const wanted = url === '/api/show' ? shows[String((body as { model?: unknown }).model)] : answers[url]
    return wanted === undefined ? { kind: 'reply', status: 404, body: {} } : { kind: 'reply', body: wanted }
  })
}

const ollama = () =>
  serverOf(
    {
      '/api/tags': { models: [{ name: 'llama3.1:8b' }, { name: 'nomic-embed-text:latest' }] },
      '/v1/models': { data: [{ id: 'llama3.1:8b' }] },
    },
    {
      'llama3.1:8b': {
        capabilities: ['completion', 'tools'],
        parameters: 'stop "<|x|>"\nnum_ctx                        16384',
        details: {
          family: 'llama',
          families: ['llama'],
          parameter_size: '8.0B',
          quantization_level: 'Q4_K_M',
          parent_model: '',
        },
        model_info: { 'general.architecture': 'llama', 'llama.context_length': 131072 },
      },
      'nomic-embed-text:latest': {
        capabilities: ['embedding'],
        model_info: { 'nomic-bert.context_length': 2048 },
      },
    },
  )

const lmStudio = () =>
  serverOf({
    // LM Studio returns 200 for unknown paths.
    '/api/tags': { error: 'Unexpected endpoint or method. (GET /api/tags)' },
    '/api/v0/models': {
      object: 'list',
      data: [
        {
          id: 'qwen2-vl',
          type: 'vlm',
          state: 'loaded',
          arch: 'qwen2_vl',
          quantization: '4bit',
          compatibility_type: 'mlx',
          max_context_length: 32768,
          loaded_context_length: 4096,
          capabilities: ['tool_use'],
        },
        { id: 'nomic', type: 'embeddings', state: 'not-loaded', max_context_length: 2048 },
      ],
    },
    '/v1/models': { data: [{ id: 'qwen2-vl' }] },
  })

const vllm = () =>
  serverOf({
    '/v1/models': {
      object: 'list',
      data: [{ id: 'meta-llama/Llama-3.1-8B', owned_by: 'vllm', max_model_len: 8192 }],
    },
  })

test('Ollama, LM Studio and vLLM are distinguished, with names, contexts and capabilities of their models', async (t) => {
  const servers = await Promise.all([ollama(), lmStudio(), vllm()])
  t.after(() => Promise.all(servers.map((server) => server.close())))
  const found = await discover(
    servers.map(({ url }) => url),
    t.signal,
  )
  assert.deepEqual(found.hostsWithoutServer, [])
  assert.deepEqual(
    found.servers.map(({ type, hostLabel, models }) => [
      type,
      hostLabel,
      models.map(({ name, context, embedding, capabilities }) => [name, context, embedding, capabilities]),
    ]),
    [
      [
        'ollama',
        'local',
        [
          ['llama3.1:8b', 16384, false, ['completion', 'tools']],
          ['nomic-embed-text:latest', 2048, true, ['embedding']],
        ],
      ],
      [
        'lmstudio',
        'local',
        [
          ['qwen2-vl', 4096, false, ['completion', 'tools', 'vision']],
          ['nomic', 2048, true, ['embedding']],
        ],
      ],
      ['vllm', 'local', [['meta-llama/Llama-3.1-8B', 8192, false, undefined]]],
    ],
  )
  assert.deepEqual(found.servers[1]?.models[0]?.details, {
    family: 'qwen2_vl',
    quantization_level: '4bit',
    format: 'mlx',
  })
})

test('the discovered configuration can be served without a change', async (t) => {
  const server = await vllm()
  const { servers } = await discover([server.url], t.signal)
  const router = await startRouter({ models: configForServers(servers) })
  t.after(() => Promise.all([router.close(), server.close()]))
  const list = await (await fetch(`${router.url}/v1/models`)).json()
  assert.partialDeepStrictEqual(list, {
    data: [{ id: 'meta-llama/Llama-3.1-8B', owned_by: 'vllm', max_model_len: 8192 }],
  })
})

test('servers of the same model share it, each with a unique id that does not contain its address', () => {
  const model = { name: 'm', context: 0, embedding: false, capabilities: undefined, details: {} }
  const server = { type: 'vllm', hostLabel: 'gpu1', models: [model] } as const
  const config = configForServers([
    { ...server, url: 'http://gpu1:8000' },
    { ...server, url: 'http://gpu1:8001' },
  ])
  const provider = { api_type: 'vllm', model_path: 'm' }
  assert.deepEqual(config, {
    discovered_models: {
      m: {
        providers: [
          { id: 'gpu1/vllm/m', ...provider, api_host: 'http://gpu1:8000' },
          { id: 'gpu1/vllm/m#2', ...provider, api_host: 'http://gpu1:8001' },
        ],
        strategy: 'cache_aware',
      },
    },
    active_models: { discovered_models: ['m'] },
  })
})

test('cache_aware is chosen for chat models that several servers with a prefix cache have', () => {
  const model = { name: 'm', context: 0, embedding: false, capabilities: undefined, details: {} }
  const strategyOf = (types: readonly FoundServer['type'][], embedding = false): unknown => {
    const servers = types.map((type, index) => ({
      type,
      hostLabel: `gpu${index}`,
      url: `http://gpu${index}:8000`,
      models: [{ ...model, embedding }],
    }))
    const { discovered_models: models } = configForServers(servers)
    return Object(Object(models).m).strategy
  }
  assert.equal(strategyOf(['vllm', 'llamacpp']), 'cache_aware')
  assert.equal(strategyOf(['vllm']), undefined)
  assert.equal(strategyOf(['vllm', 'ollama']), undefined)
  assert.equal(strategyOf(['vllm', 'vllm'], true), undefined)
})

test('hosts that do not respond, serve no models or are routers are reported as hosts without a server', async (t) => {
  const router = await startRouter({ models: modelsConfig({ one: [{ api_type: 'mock' }] }) })
  const web = await serverOf({ '/v1/models': { pages: [] } })
  t.after(() => Promise.all([router.close(), web.close()]))
  const hosts = [await closedPort(), web.url, router.url, 'ftp://x', 'not a host', 'http://user:secret@h']
  assert.deepEqual(await discover(hosts, t.signal), { servers: [], hostsWithoutServer: hosts })
})

test('a server that never responds does not block the search', async (t) => {
  const hung = await startUpstream({ kind: 'hang' })
  t.after(() => hung.close())
  const found = await discover([hung.url], AbortSignal.timeout(50))
  assert.deepEqual(found.servers, [])
})

test('discover writes the configuration to stdout and its findings to stderr', async (t) => {
  const server = await ollama()
  t.after(() => server.close())
  const { code, stdout, stderr } = await runCli(['discover', server.url])
  assert.equal(code, 0)
  assert.partialDeepStrictEqual(JSON.parse(stdout), {
    discovered_models: {
      'llama3.1:8b': {
        capabilities: ['completion', 'tools'],
        details: { family: 'llama', parameter_size: '8.0B' },
        providers: [
          { id: 'local/ollama/llama3.1:8b', api_type: 'ollama', api_host: server.url, input_size: 16384 },
        ],
      },
      'nomic-embed-text:latest': { providers: [{ is_embedding: true }] },
    },
  })
  assert.match(stderr, /: ollama, llama3\.1:8b, nomic-embed-text:latest\n/)
  const nothing = await runCli(['discover', await closedPort()])
  assert.deepEqual([nothing.code, nothing.stdout], [1, ''])
})

test('init writes a file that passes check, and never overwrites one', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-init-'))
  const server = await vllm()
  t.after(async () => {
    await server.close()
    rmSync(folder, { recursive: true })
  })
  const file = join(folder, 'models.json')
  assert.equal((await runCli(['init', file, server.url])).code, 0)
  assert.equal((await runCli(['check', file])).code, 0)
  const text = readFileSync(file, 'utf8')
  const again = await runCli(['init', file, await closedPort()])
  assert.match(again.stderr, /already exists and was not changed/)
  assert.deepEqual([again.code, readFileSync(file, 'utf8')], [1, text])
  const demo = join(folder, 'demo.json')
  assert.equal((await runCli(['init', demo, await closedPort()])).code, 0)
  assert.match(readFileSync(demo, 'utf8'), /"mock"/)
})

test('llama.cpp is distinguished from other OpenAI-compatible servers, with the context of one slot', async (t) => {
  const server = await serverOf({
    '/v1/models': {
      object: 'list',
      data: [{ id: 'tiny', owned_by: 'llamacpp', meta: { n_ctx: 4096, n_ctx_train: 32768 } }],
    },
  })
  t.after(() => server.close())
  const { servers } = await discover([server.url], t.signal)
  assert.deepEqual(
    servers.map(({ type, models }) => [type, models.map(({ name, context }) => [name, context])]),
    [['llamacpp', [['tiny', 4096]]]],
  )
})

test('the context is the one in use, not the longest that the model supports', async (t) => {
  const ollama = await serverOf({
    '/api/tags': { models: [{ name: 'warm:latest' }, { name: 'cold:latest' }] },
    '/api/ps': { models: [{ name: 'warm:latest', context_length: 4096 }] },
  })
  const studio = await serverOf({
    '/api/v0/models': { data: [{ id: 'cold', type: 'llm', state: 'not-loaded', max_context_length: 32768 }] },
  })
  t.after(() => Promise.all([ollama.close(), studio.close()]))
  const { servers } = await discover([ollama.url, studio.url], t.signal)
  assert.deepEqual(
    servers.flatMap(({ models }) => models.map(({ name, context }) => [name, context])),
    [
      ['warm:latest', 4096],
      ['cold:latest', 0],
      ['cold', 0],
    ],
  )
})

const listOf = (owner: string, id: string, more: object = {}) => ({
  object: 'list',
  data: [{ id, object: 'model', owned_by: owner, ...more }],
})
const tgiInfo = {
  model_id: 'mistralai/Mistral-7B',
  max_concurrent_requests: 128,
  max_stop_sequences: 4,
  max_input_tokens: 4095,
  max_total_tokens: 4096,
  router: 'text-generation-router',
}
const embedding = { object: 'list', data: [{ embedding: [0.1], index: 0, object: 'embedding' }] }

test('SGLang, TGI, llama.cpp and embedding servers are distinguished, and embedding models are marked', async (t) => {
  const servers = await Promise.all([
    // It has the paths of Ollama too.
    serverOf({
      '/v1/models': listOf('sglang', 'org/chat', { max_model_len: 32768 }),
      '/model_info': { model_path: 'org/chat', is_generation: true },
      '/api/tags': { models: [{ name: 'org/chat' }] },
    }),
    serverOf({
      '/v1/models': listOf('sglang', 'org/embed', { max_model_len: 512 }),
      '/get_model_info': { is_generation: false },
    }),
    serverOf({ '/info': tgiInfo, '/v1/models': listOf('mistralai/Mistral-7B', 'mistralai/Mistral-7B') }),
    serverOf({
      '/v1/models': listOf('vllm', 'e5', { max_model_len: 512 }),
      '/openapi.json': { paths: { '/v1/embeddings': {}, '/v1/models': {} } },
    }),
    serverOf({
      '/v1/models': listOf('vllm', 'chat', { max_model_len: 8192 }),
      '/openapi.json': { paths: { '/v1/embeddings': {}, '/v1/chat/completions': {} } },
    }),
    serverOf({
      '/v1/models': listOf('llamacpp', 'nomic', { meta: { n_ctx: 2048 } }),
      '/v1/embeddings': embedding,
    }),
  ])
  t.after(() => Promise.all(servers.map((server) => server.close())))
  const found = await discover(
    servers.map(({ url }) => url),
    t.signal,
  )
  assert.deepEqual(
    found.servers.flatMap(({ type, models }) =>
      models.map(({ name, context, embedding: embeds }) => [type, name, context, embeds]),
    ),
    [
      ['sglang', 'org/chat', 32768, false],
      ['sglang', 'org/embed', 512, true],
      ['tgi', 'mistralai/Mistral-7B', 4096, false],
      ['vllm', 'e5', 512, true],
      ['vllm', 'chat', 8192, false],
      ['llamacpp', 'nomic', 2048, true],
    ],
  )
  const { sglang, tgi }: Record<string, unknown> = Object.fromEntries(
    found.servers.map(({ type, ...server }) => [type, configForServers([{ type, ...server }])]),
  )
  assert.match(JSON.stringify(sglang), /"api_type":"sglang".*"is_embedding":true/)
  assert.match(JSON.stringify(tgi), /"api_type":"tgi"/)
})

test('llama.cpp in router mode lists all of its models, and the search loads none', async (t) => {
  const model = (id: string, value: string, args: string[], meta?: object) => ({
    id,
    object: 'model',
    owned_by: 'llamacpp',
    status: { value, args: ['llama-server', ...args] },
    ...(meta ? { meta } : {}),
  })
  const server = await serverOf({
    '/v1/models': {
      data: [
        model('chat', 'loaded', [], { n_ctx: 4096, n_ctx_train: 32768 }),
        model('other', 'unloaded', []),
        model('nomic', 'unloaded', ['--embeddings']),
      ],
    },
  })
  t.after(() => server.close())
  const { servers } = await discover([server.url], t.signal)
  assert.deepEqual(
    servers.map(({ type, models }) => [
      type,
      models.map(({ name, context, embedding: embeds }) => [name, context, embeds]),
    ]),
    [
      [
        'llamacpp',
        [
          ['chat', 4096, false],
          ['other', 0, false],
          ['nomic', 0, true],
        ],
      ],
    ],
  )
  assert.ok(server.requests.every(({ method }) => method === 'GET'))
})

test("LM Studio's model list since 0.4 takes precedence over the older one", async (t) => {
  const server = await serverOf({
    '/api/v1/models': {
      models: [
        {
          type: 'llm',
          key: 'google/gemma-3',
          architecture: 'gemma3',
          format: 'gguf',
          quantization: { name: 'Q4_0', bits_per_weight: 4 },
          params_string: '4B',
          loaded_instances: [
            { id: 'a', config: { context_length: 8192 } },
            { id: 'b', config: { context_length: 4096 } },
          ],
          max_context_length: 131072,
          capabilities: { vision: true, trained_for_tool_use: true },
        },
        { type: 'embedding', key: 'nomic', loaded_instances: [], max_context_length: 2048 },
      ],
    },
    '/api/v0/models': { data: [{ id: 'nomic', type: 'llm', state: 'not-loaded' }] },
    '/v1/models': { data: [{ id: 'google/gemma-3' }, { id: 'nomic' }] },
  })
  t.after(() => server.close())
  const { servers } = await discover([server.url], t.signal)
  const [{ type, models } = assert.fail('nothing was found')] = servers
  assert.equal(type, 'lmstudio')
  assert.deepEqual(models, [
    {
      name: 'google/gemma-3',
      context: 4096,
      embedding: false,
      capabilities: ['completion', 'tools', 'vision'],
      details: { family: 'gemma3', parameter_size: '4B', quantization_level: 'Q4_0', format: 'gguf' },
    },
    { name: 'nomic', context: 2048, embedding: true, capabilities: ['embedding'], details: {} },
  ])
})
