import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

interface Extras {
  stats: {
    tokens_per_second?: number
    time_to_first_token?: number
    generation_time: number
    stop_reason?: string
  }
  model_info: Record<string, unknown>
  runtime: { name: string; supported_formats: string[] }
}

const question = { messages }

describe("LM Studio's own endpoints", () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(upstreams.openaiText('Hi there'))
    const model = (api_type: string, more: object = {}) => ({
      providers: [{ api_type, api_host: upstream.url, input_size: 8192, ...more }],
      details: { family: 'qwen2', quantization_level: 'Q4_K_M', format: 'gguf' },
    })
    const group = {
      same: model('lmstudio'),
      other: model('ollama'),
      chats: model('vllm', { paths: { completion: false } }),
    }
    router = await startRouter({ models: { g: group, active_models: { g: Object.keys(group) } } })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  /** Checks what is the same in every answer. */
  function check({ stats, model_info, runtime }: Extras, reason: string): void {
    assert.equal(stats.stop_reason, reason)
    assert.deepEqual(model_info, { arch: 'qwen2', quant: 'Q4_K_M', format: 'gguf', context_length: 8192 })
    assert.equal(runtime.name, 'llm-router')
    assert.deepEqual(runtime.supported_formats, ['gguf'])
  }

  test('a whole answer of the same dialect keeps its bytes and gets the additional members', async () => {
    upstream.rescript({
      kind: 'reply',
      body: '{"id":"x","object":"chat.completion","created":1,"model":"up","big":12345678901234567890,"stats":{},"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}',
    })
    const { text } = await post(`${router.url}/api/v0/chat/completions`, { model: 'same', ...question })
    assert.match(text, /"big":12345678901234567890/)
    const answer: Extras & { model: string } = JSON.parse(text)
    assert.equal(answer.model, 'same')
    check(answer, 'maxPredictedTokensReached')
    const { tokens_per_second: speed = 0, generation_time: time, time_to_first_token: first } = answer.stats
    assert.ok(time > 0)
    assert.ok(Math.abs(speed * time - 3) < 1e-6, 'three tokens in that time')
    assert.equal(first, undefined, 'a whole answer does not contain it')
  })

  test('a translated answer has the timings of the engine', async () => {
    const times = { total_duration: 9e9, load_duration: 1e9, prompt_eval_duration: 2e9, eval_duration: 6e9 }
    const done = { model: 'm', created_at: '2026-01-01T00:00:00Z', done: true, done_reason: 'stop', ...times }
    const message = { role: 'assistant', content: 'Hi' }
    upstream.rescript({
      kind: 'reply',
      body: { ...done, message, prompt_eval_count: 9, eval_count: 3 },
    })
    const { text } = await post(`${router.url}/api/v0/chat/completions`, { model: 'other', ...question })
    const answer: Extras = JSON.parse(text)
    check(answer, 'eosFound')
    assert.deepEqual(
      [answer.stats.time_to_first_token, answer.stats.generation_time, answer.stats.tokens_per_second],
      [3, 6, 0.5],
    )
  })

  test('a translated stream has the statistics on its finish chunk only', async () => {
    upstream.rescript(upstreams.ollamaStream(['Hi', ' there']))
    const { text } = await post(`${router.url}/api/v0/chat/completions`, {
      model: 'other',
      stream: true,
      ...question,
    })
    const chunks = text.split('\n\n').filter((chunk) => chunk.startsWith('data: {'))
    const withStats = chunks.filter((chunk) => chunk.includes('"stats"'))
    assert.deepEqual(withStats, chunks.slice(-1))
    const last: Extras & { choices: { finish_reason: string }[] } = JSON.parse(withStats[0]?.slice(6) ?? '')
    assert.equal(last.choices[0]?.finish_reason, 'stop')
    check(last, 'eosFound')
    assert.ok((last.stats.time_to_first_token ?? 0) > 0)
    assert.match(text, /data: \[DONE\]\n\n$/)
  })

  test('a stream of the same dialect stays unchanged', async () => {
    upstream.rescript(upstreams.openaiStream(['Hi']))
    const ask = async (path: string): Promise<string> =>
      (await post(router.url + path, { model: 'same', stream: true, ...question })).text
    assert.equal(await ask('/api/v0/chat/completions'), await ask('/v1/chat/completions'))
  })

  test('completions have the additional members too, even on servers with chats only', async () => {
    upstream.rescript(upstreams.openaiText('Hi there'))
    const { text } = await post(`${router.url}/api/v0/completions`, { model: 'chats', prompt: 'Hi' })
    const answer: Extras & { object: string } = JSON.parse(text)
    assert.equal(answer.object, 'text_completion')
    check(answer, 'eosFound')
  })

  test('other paths do not have the additional members', async () => {
    upstream.rescript(upstreams.openaiText('Hi there'))
    for (const model of ['same', 'chats']) {
      const { text } = await post(`${router.url}/v1/chat/completions`, { model, ...question })
      assert.doesNotMatch(text, /model_info/)
    }
  })
})
