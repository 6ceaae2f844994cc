import assert from 'node:assert/strict'
import { test } from 'node:test'
import { post } from '../../helpers/http.ts'
import { messages } from '../../helpers/messages.ts'
import { scrape } from '../../helpers/metrics.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter } from '../../helpers/router.ts'
import { startUpstream } from '../../helpers/scripted-upstream.ts'

for (const [path, api_type, counts] of [
  [
    '/v1/chat/completions',
    'vllm',
    '"usage":{"prompt_tokens":-5,"completion_tokens":1e999,"total_tokens":-1}',
  ],
  ['/api/chat', 'vllm', '"usage":{"prompt_tokens":1e999,"completion_tokens":-5}'],
  ['/v1/chat/completions', 'ollama', '"prompt_eval_count":-5,"eval_count":1e999'],
] as const) {
  test(`a response with impossible token counts is sent on and counted without them: ${api_type} for ${path}`, async (t) => {
    const message = '{"role":"assistant","content":"Hi"}'
    const answer =
      api_type === 'ollama'
        ? `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":${message},"done":true,${counts}}`
        : `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":${message},"finish_reason":"stop"}],${counts}}`
    const bytes = Buffer.from(answer)
    const headers = { 'content-type': 'application/json', 'content-length': `${bytes.length}` }
    const upstream = await startUpstream({ kind: 'reply', headers, body: bytes })
    t.after(() => upstream.close())
    const router = await startRouter({
      env: { LLM_ROUTER_USE_PROMETHEUS: '1' },
      models: modelsConfig({ odd: [{ id: 'odd', api_type, api_host: upstream.url }] }),
    })
    t.after(() => router.close())
    const { status, headers: answered } = await post(router.url + path, {
      model: 'odd',
      messages,
      stream: false,
    })
    assert.equal(status, 200)
    await router.requestLogged(answered.get('x-request-id') ?? '')
    const series = await scrape(router.url)
    assert.equal(series.sum('llm_router_requests_total', { model_name: 'odd', outcome: 'success' }), 1)
    assert.equal(series.sum('llm_router_tokens_total', {}), 0)
  })
}
