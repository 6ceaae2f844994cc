import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { comparable, recorded } from '../providers/llamacpp-recorded.ts'
import { type Engine, startLlamaServer } from './engine.ts'
import { documents, list, object } from './meaning.ts'

/* Features that only llama-server has. A running server at LLM_ROUTER_TEST_LLAMACPP needs `--slots` and two slots. */
/** Its streams do not contain the text of a call that was cut off before its name was known. */
const untold = new Set(['tools cut'])

describe('a real llama-server', () => {
  let engine: Engine
  let router: TestRouter
  let url: string

  before(async () => {
    engine = await startLlamaServer()
    url = engine.url
    const provider = (api_type: string) => [{ api_type, api_host: url, model_path: engine.model }]
    router = await startRouter({
      env: { LLM_ROUTER_HEALTH_INTERVAL: '1' },
      models: modelsConfig({
        llamacpp: provider('llamacpp'),
        openai: provider('openai'),
        vllm: provider('vllm'),
      }),
    })
    await fetch(`${router.url}/v1/models`)
  })
  after(async () => {
    await router?.close()
    await engine?.stop()
  })

  for (const { name, path, body, whole, stream } of recorded) {
    if (whole.status !== 200 || untold.has(name)) continue
    test(`returns through the router what it returns directly: ${name}`, async () => {
      const direct = await post(url + path, { model: engine.model, ...body })
      const routed = await post(router.url + path, { model: 'llamacpp', ...body })
      assert.deepEqual([direct.status, routed.status], [200, 200])
      assert.deepEqual(comparable(JSON.parse(routed.text)), comparable(JSON.parse(direct.text)))
    })

    if (stream.status !== 200) continue
    test(`streams through the router what it streams directly: ${name}`, async () => {
      const streamed = { ...body, stream: true, stream_options: { include_usage: true } }
      const direct = await post(url + path, { model: engine.model, ...streamed })
      const routed = await post(router.url + path, { model: 'llamacpp', ...streamed })
      assert.deepEqual([direct.status, routed.status], [200, 200])
      assert.deepEqual(documents(routed.text).map(comparable), documents(direct.text).map(comparable))
    })
  }

  const tools = [{ name: 'get_weather', input_schema: { type: 'object', properties: {} } }]
  const call = { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: {} }
  for (const [kind, body] of Object.entries({
    'a system prompt': { system: 'Be brief', messages },
    'a later system turn': {
      messages: [
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: 'Hi' },
        { role: 'system', content: 'Be kind' },
        { role: 'user', content: 'hello' },
      ],
    },
    'tools, a call and its result': {
      tools,
      messages: [
        { role: 'user', content: 'weather in Paris' },
        { role: 'assistant', content: [{ type: 'thinking', thinking: 'Hm', signature: '' }, call] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'sunny' }] },
      ],
    },
  })) {
    test(`counts as many tokens before the request as it reports afterwards: ${kind}`, async () => {
      const counted = await post(`${router.url}/v1/messages/count_tokens`, { model: 'llamacpp', ...body })
      assert.equal(counted.headers.get('x-llm-router-estimate'), null)
      const asked = await post(`${router.url}/v1/messages`, { model: 'llamacpp', max_tokens: 1, ...body })
      const { input_tokens: fresh, cache_read_input_tokens: cached = 0 } = JSON.parse(asked.text).usage
      assert.equal(JSON.parse(counted.text).input_tokens, fresh + cached)
    })
  }

  test('counts as many input tokens of a response before the request as afterwards', async () => {
    const body = { model: 'llamacpp', instructions: 'Be brief', input: 'hello' }
    const counted = JSON.parse((await post(`${router.url}/v1/responses/input_tokens`, body)).text)
    const asked = JSON.parse((await post(`${router.url}/v1/responses`, body)).text)
    assert.equal(counted.input_tokens, asked.usage.input_tokens)
  })

  test("tokenizes and detokenizes, also with vLLM's fields", async () => {
    const ask = async (path: string, body: object) =>
      JSON.parse((await post(router.url + path, { model: 'llamacpp', ...body })).text)
    const own = await ask('/tokenize', { content: 'hello world' })
    const vllms = await ask('/tokenize', { prompt: 'hello world', add_special_tokens: false })
    assert.ok(own.tokens.length > 1)
    assert.deepEqual(vllms, { tokens: own.tokens, count: own.tokens.length })
    assert.equal((await ask('/detokenize', { tokens: own.tokens })).prompt, 'hello world')
  })

  test('returns the same embeddings in every dialect as directly', async () => {
    const embedder = await startLlamaServer(['--embeddings'])
    const provider = { api_type: 'llamacpp', api_host: embedder.url, model_path: embedder.model }
    const over = await startRouter({ models: modelsConfig({ m: [provider] }) })
    const ask = async (base: string, path: string, body: object) => {
      const { status, text } = await post(base + path, body)
      assert.equal(status, 200, text)
      return object(JSON.parse(text))
    }
    try {
      const input = ['hello', 'weather in Paris']
      const direct = await ask(embedder.url, '/v1/embeddings', { model: embedder.model, input })
      const vectors = list(direct.data).map(({ embedding }) => embedding)
      const openai = await ask(over.url, '/v1/embeddings', { model: 'm', input })
      assert.deepEqual(comparable(openai), comparable(direct))
      assert.deepEqual((await ask(over.url, '/api/embed', { model: 'm', input })).embeddings, vectors)
      const requests = input.map((text) => ({ model: 'models/m', content: { parts: [{ text }] } }))
      const gemini = await ask(over.url, '/v1beta/models/m:batchEmbedContents', { requests })
      assert.deepEqual(
        list(gemini.embeddings).map(({ values }) => values),
        vectors,
      )
    } finally {
      await over.close()
      await embedder.stop()
    }
  })

  const busySlots = async (): Promise<number> => {
    const slots: { is_processing: boolean }[] = JSON.parse(await (await fetch(`${url}/slots`)).text())
    return slots.filter(({ is_processing: busy }) => busy).length
  }
  /** Polls twice a second: polling more often delays the server's detection of a client that disconnected. */
  const slotsBusy = async (wanted: number): Promise<void> => {
    while ((await busySlots()) !== wanted) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  for (const model of ['llamacpp', 'openai', 'vllm']) {
    test(`aborts an abandoned non-streaming response while another stream runs: ${model}`, async () => {
      const endless = {
        model,
        messages: [{ role: 'user', content: 'sing' }],
        max_tokens: 4_000,
        ignore_eos: true,
      }
      const ask = (more: object, { signal }: AbortController) =>
        fetch(`${router.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ ...endless, ...more }),
          signal,
        })
      const staying = new AbortController()
      const leaving = new AbortController()
      const stream = await ask({ stream: true }, staying)
      const read = stream.text().catch(() => 'left')
      const abandoned = ask({}, leaving).catch(() => 'left')
      await slotsBusy(2)
      leaving.abort()
      await slotsBusy(1)
      staying.abort()
      await Promise.all([read, abandoned])
    })
  }

  test('serves Claude Code from its prompt cache despite later system turns and a new billing header', async () => {
    // Longer than the minimum for a slot to be kept.
    const prompt = `You are Claude Code. ${'Be brief and careful. '.repeat(40)}`
    const history: object[] = [
      { role: 'user', content: 'hi' },
      { role: 'system', content: 'Available agent types: x' },
    ]
    const ask = async (nonce: string) => {
      const line = `x-anthropic-billing-header: cc_version=2.1; cch=${nonce};`
      const system = [line, prompt].map((text) => ({ type: 'text', text }))
      const body = { model: 'llamacpp', max_tokens: 8, temperature: 0, system, messages: history }
      const { status, text } = await post(`${router.url}/v1/messages`, body)
      assert.equal(status, 200, text)
      return JSON.parse(text)
    }
    const first = await ask('a1b2c')
    history.push({ role: 'assistant', content: 'ok' }, { role: 'user', content: 'go on' })
    const { usage } = await ask('d3e4f')
    const whole = first.usage.input_tokens + first.usage.cache_read_input_tokens
    assert.ok(usage.cache_read_input_tokens > whole * 0.9, JSON.stringify([first.usage, usage]))
  })
})
