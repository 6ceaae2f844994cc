import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { byPath, notFound, text, vllmMetrics } from '../helpers/engine-answers.ts'
import { closedPort, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { scrape } from '../helpers/metrics.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { engineOf } from '../helpers/status-events.ts'

const env = { LLM_ROUTER_HEALTH_INTERVAL: '5', LLM_ROUTER_USE_PROMETHEUS: '1' }

describe('engine signals', () => {
  const expires = '2026-11-29T13:59:49.26486112Z'
  const servers: ScriptedUpstream[] = []
  let router: TestRouter

  before(async () => {
    const serve = async (script: Parameters<typeof startUpstream>[0]): Promise<string> => {
      const server = await startUpstream(script)
      servers.push(server)
      return server.url
    }
    const json = (body: unknown) => ({ kind: 'reply', body }) as const
    const vllm = await serve(
      byPath({
        '/health': json(''),
        '/metrics': text(vllmMetrics({ running: 4, waiting: 6 })),
        '/v1/models': json({ data: [{ id: 'tiny', owned_by: 'vllm', max_model_len: 4096 }] }),
      }),
    )
    const asleep = await serve(
      byPath({ '/health': json(''), '/metrics': text(vllmMetrics({ sleep: 'discard_all' })) }),
    )
    const llamaCpp = await serve(
      byPath({
        '/health': json({ status: 'ok' }),
        '/slots': json([
          { id: 0, n_ctx: 4096, is_processing: true },
          { id: 1, n_ctx: 4096, is_processing: false },
        ]),
        '/metrics': text(
          'llamacpp:requests_processing 1\nllamacpp:requests_deferred 3\nllamacpp:prompt_tokens_cached_total 1951\nllamacpp:prompt_tokens_total 1867\n',
        ),
      }),
    )
    const quiet = await serve(
      byPath({
        '/health': json({ status: 'ok' }),
        '/props': json({ total_slots: 4, is_sleeping: false }),
        '/metrics': { kind: 'reply', status: 501, body: { error: { code: 501, message: 'not supported' } } },
      }),
    )
    const loading = await serve({
      kind: 'reply',
      status: 503,
      body: { error: { message: 'Loading model', type: 'unavailable_error', code: 503 } },
    })
    const ollama = await serve(
      byPath({
        '/api/version': json({ version: '0.9.0' }),
        '/api/ps': json({
          models: [{ name: 'tiny:latest', model: 'tiny:latest', expires_at: expires, context_length: 4096 }],
        }),
      }),
    )
    const studio = await serve(
      byPath({
        '/v1/models': json({ data: [] }),
        '/api/v0/models': notFound,
        '/api/v1/models': json({
          models: [
            { key: 'gemma', loaded_instances: [{ id: 'g1', config: { context_length: 4096 } }] },
            { key: 'cold', loaded_instances: [] },
          ],
        }),
      }),
    )
    const tgi = await serve(
      byPath({ '/health': json(''), '/metrics': text('tgi_queue_size 2\ntgi_batch_current_size 5\n') }),
    )
    const sglang = await serve(
      byPath({
        '/health': json(''),
        '/metrics': text(
          'sglang:num_running_reqs{model_name="m"} 2.0\nsglang:num_queue_reqs{model_name="m"} 1.0\nsglang:token_usage{model_name="m"} 0.5\nsglang:cache_hit_rate{model_name="m"} 0.75\n',
        ),
      }),
    )
    const odd = await serve(
      byPath({ '/health': json(''), '/metrics': text('<html>\nvllm:num_requests_running nan\n') }),
    )
    router = await startRouter({
      env,
      models: modelsConfig({
        tiny: [
          { id: 'vllm', api_type: 'vllm', api_host: vllm },
          { id: 'asleep', api_type: 'vllm', api_host: asleep },
          { id: 'llama-cpp', api_type: 'llamacpp', api_host: llamaCpp },
          { id: 'quiet', api_type: 'llamacpp', api_host: quiet },
          { id: 'loading', api_type: 'llamacpp', api_host: loading },
          { id: 'ollama', api_type: 'ollama', api_host: ollama },
          { id: 'studio', api_type: 'lmstudio', api_host: studio, model_path: 'gemma' },
          { id: 'studio-cold', api_type: 'lmstudio', api_host: studio, model_path: 'cold' },
          { id: 'tgi', api_type: 'tgi', api_host: tgi },
          { id: 'sglang', api_type: 'sglang', api_host: sglang },
          { id: 'openai', api_type: 'openai', api_host: sglang, health_check: '/health' },
          { id: 'odd', api_type: 'vllm', api_host: odd },
          { id: 'gone', api_type: 'vllm', api_host: await closedPort() },
          { id: 'mock', api_type: 'mock' },
        ],
      }),
    })
  })
  after(async () => {
    await router.close()
    await Promise.all(servers.map((server) => server.close()))
  })

  const expected = {
    vllm: {
      state: 'ready',
      running: 4,
      waiting: 6,
      kv_use: 0.25,
      cache_hit_ratio: 0.75,
      loaded: [{ name: 'tiny', context: 4096 }],
    },
    asleep: {
      state: 'asleep',
      sleep: 'discard_all',
      running: 0,
      waiting: 0,
      kv_use: 0.25,
      cache_hit_ratio: 0.75,
    },
    'llama-cpp': { state: 'ready', running: 1, waiting: 3, cache_hit_ratio: 0.511, slots: 2 },
    quiet: { state: 'ready', slots: 4 },
    loading: { state: 'loading' },
    ollama: { state: 'ready', loaded: [{ name: 'tiny:latest', context: 4096, expires_at: expires }] },
    studio: {
      state: 'ready',
      loaded: [
        { name: 'gemma', context: 4096 },
        { name: 'g1', context: 4096 },
      ],
    },
    tgi: { state: 'ready', running: 5, waiting: 2 },
    sglang: { state: 'ready', running: 2, waiting: 1, kv_use: 0.5, cache_hit_ratio: 0.75 },
    openai: { state: 'ready', running: 2, waiting: 1, kv_use: 0.5, cache_hit_ratio: 0.75 },
    gone: { state: 'down' },
  }
  for (const [id, engine] of Object.entries(expected))
    test(`the status of ${id} shows exactly the signals that it reports`, async () => {
      assert.deepEqual(await engineOf(router.url, id), engine)
    })

  test('a signal that an engine does not report has no sample in the metrics', async () => {
    await engineOf(router.url, 'gone')
    const series = await scrape(router.url)
    const of = (target: string) =>
      series.names.filter((name) => name.startsWith('llm_router_engine_') && name.includes(`"${target}"`))
    assert.equal(series.sum('llm_router_engine_running', { target: 'vllm' }), 4)
    assert.equal(series.sum('llm_router_engine_waiting', { target: 'llama-cpp' }), 3)
    assert.equal(series.sum('llm_router_engine_model_loaded', { target: 'studio' }), 1)
    assert.equal(series.sum('llm_router_engine_state', { target: 'asleep', state: 'asleep' }), 1)
    assert.ok(of('studio-cold').some((name) => name.startsWith('llm_router_engine_model_loaded')))
    assert.equal(series.sum('llm_router_engine_model_loaded', { target: 'studio-cold' }), 0)
    assert.ok(!of('ollama').some((name) => name.startsWith('llm_router_engine_running')))
    assert.deepEqual([of('odd'), of('mock')], [[], []])
  })
})

test('a failed poll makes the load unknown, not zero, and a server is polled at most every two seconds', async (t) => {
  const asked: number[] = []
  let fails = false
  const upstream = await startUpstream(
    byPath({
      '/health': { kind: 'reply', body: '' },
      '/metrics': () => {
        asked.push(performance.now())
        return fails ? { kind: 'reply', status: 500, body: '' } : text(vllmMetrics({ running: 4 }))
      },
    }),
  )
  t.after(() => upstream.close())
  const router = await startRouter({
    env,
    models: modelsConfig({ m: [{ id: 'a', api_type: 'vllm', api_host: upstream.url }] }),
  })
  t.after(() => router.close())
  assert.equal((await engineOf(router.url, 'a'))?.running, 4)
  fails = true
  await engineOf(router.url, 'a', (engine) => engine === undefined)
  fails = false
  await engineOf(router.url, 'a')
  // A busy machine may delay the arrival of a poll.
  const pauses = asked.slice(1).map((at, index) => at - (asked[index] ?? 0))
  assert.ok(pauses.length >= 2 && pauses.every((pause) => pause >= 1_500), `${pauses}`)
})

for (const strategy of ['least_busy', 'adaptive'])
  test(`${strategy} avoids a server that other clients keep busy`, async (t) => {
    const serve = (running: number) =>
      startUpstream(
        byPath({
          '/health': { kind: 'reply', body: '' },
          '/metrics': text(vllmMetrics({ running, waiting: running })),
          '/v1/chat/completions': openaiText('Hi'),
        }),
      )
    const [busy, idle] = await Promise.all([serve(20), serve(0)])
    t.after(() => Promise.all([busy.close(), idle.close()]))
    const router = await startRouter({
      env: { ...env, LLM_ROUTER_BALANCE_STRATEGY: strategy },
      models: modelsConfig({
        m: [
          { id: 'busy', api_type: 'vllm', api_host: busy.url },
          { id: 'idle', api_type: 'vllm', api_host: idle.url },
        ],
      }),
    })
    t.after(() => router.close())
    await Promise.all([engineOf(router.url, 'busy'), engineOf(router.url, 'idle')])
    for (let count = 0; count < 8; count++)
      assert.equal((await post(`${router.url}/v1/chat/completions`, { model: 'm', messages })).status, 200)
    const chats = ({ requests }: ScriptedUpstream) =>
      requests.filter(({ url }) => url === '/v1/chat/completions').length
    // The first request to each measures its speed.
    assert.ok(chats(busy) <= 1, `${chats(busy)} at the busy server`)
    assert.ok(chats(idle) >= 7)
  })

test('an engine is not polled if its health checks are off', async (t) => {
  const upstream = await startUpstream(byPath({ '/metrics': text(vllmMetrics()), '/health': notFound }))
  t.after(() => upstream.close())
  const router = await startRouter({
    env,
    models: modelsConfig({
      m: [
        { id: 'off', api_type: 'vllm', api_host: upstream.url, health_check: false },
        { id: 'on', api_type: 'vllm', api_host: `${upstream.url}/on` },
      ],
    }),
  })
  t.after(() => router.close())
  await upstream.requestReceived(1)
  assert.ok(upstream.requests.every(({ url }) => url.startsWith('/on/')))
})
