import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiChunk, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { comparable, type Recorded, recorded, recordedAs, replay } from './llamacpp-recorded.ts'

/** llama.cpp's streams omit the text of a call that was truncated before its name was known. */
const notStreamed = new Set(['tools cut'])
const chat = '/v1/chat/completions'

describe('whole responses of a llama.cpp server', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let current: Recorded

  before(async () => {
    current = recordedAs('text')
    upstream = await startUpstream(({ body }) => replay(current, body))
    const server = { api_type: 'llamacpp', api_host: upstream.url, model_path: 'tiny' }
    router = await startRouter({
      models: modelsConfig({ m: [server], cut: [{ ...server, id: 'cut', drop_params: ['stream_options'] }] }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const lastBody = (): Record<string, unknown> => Object(upstream.requests.at(-1)?.body)
  const ask = async (path: string, body: object, name = 'text') => {
    current = recordedAs(name)
    const answer = await post(router.url + path, { model: 'm', ...body })
    return { status: answer.status, json: JSON.parse(answer.text) }
  }

  for (const { name, path, body, whole } of recorded) {
    if (whole.status !== 200 || notStreamed.has(name)) continue
    test(`a whole response has every member of the direct response: ${name}`, async () => {
      const { status, json } = await ask(path, body, name)
      assert.equal(status, 200)
      assert.deepEqual(comparable(json), comparable(JSON.parse(whole.text)))
      assert.equal(json.model, 'm')
    })
  }

  for (const [kind, name, isStream] of [
    ['whole responses are requested as streams with their token counts', 'text', true],
    ['whole responses with tools are requested as streams', 'tools', true],
    ['whole responses with several choices are requested as streams', 'two', true],
    ['whole completions are requested as streams', 'completion', true],
    [
      'responses with token probabilities are requested whole, as a stream would omit them',
      'logprobs',
      undefined,
    ],
  ] as const) {
    test(kind, async () => {
      const { path, body } = recordedAs(name)
      await ask(path, { stream_options: null, ...body }, name)
      assert.equal(lastBody().stream, isStream)
      if (isStream) assert.deepEqual(lastBody().stream_options, { include_usage: true })
      const { stream: _stream, stream_options: _options, model, ...rest } = lastBody()
      assert.deepEqual([model, rest], ['tiny', body])
    })
  }

  test('a whole response with several choices has the counts and timings of the first, whichever ends last', async () => {
    const choice = (index: number, reason: string | null, delta: object) => ({
      choices: [{ index, finish_reason: reason, delta }],
    })
    const counts = (tokens: number) => ({
      choices: [],
      usage: { prompt_tokens: 1, completion_tokens: tokens, total_tokens: tokens + 1 },
      timings: { predicted_n: tokens },
    })
    const pieces = [
      choice(0, null, { role: 'assistant', content: null }),
      choice(1, null, { role: 'assistant', content: null }),
      choice(1, null, { content: 'one' }),
      choice(0, null, { content: 'zero' }),
      choice(0, 'stop', {}),
      counts(5),
      choice(1, 'length', {}),
      counts(9),
    ].map(
      (chunk) => `data: ${JSON.stringify({ object: 'chat.completion.chunk', model: 'tiny', ...chunk })}\n\n`,
    )
    upstream.rescript({ kind: 'stream', pieces: [...pieces, 'data: [DONE]\n\n'] })
    const { json } = await ask(chat, { messages, n: 2 })
    upstream.rescript(({ body }) => replay(current, body))
    assert.deepEqual(
      json.choices.map((each: Record<string, unknown>) => [Object(each.message).content, each.finish_reason]),
      [
        ['zero', 'stop'],
        ['one', 'length'],
      ],
    )
    assert.deepEqual([json.usage.completion_tokens, json.timings], [5, { predicted_n: 5 }])
  })

  for (const [path, body, text] of [
    ['/v1/messages', { max_tokens: 48 }, (json: Record<string, unknown>) => Object(json.content)[0].text],
    ['/api/chat', { stream: false }, (json: Record<string, unknown>) => Object(json.message).content],
    [
      '/api/v0/chat/completions',
      {},
      (json: Record<string, unknown>) => Object(json.choices)[0].message.content,
    ],
  ] as const) {
    test(`whole responses are assembled from a stream for clients of ${path}`, async () => {
      const { json } = await ask(path, { messages, ...body })
      assert.equal(text(json), 'Hello! How can I help you today?')
      assert.equal(lastBody().stream, true)
    })
  }

  test('whole responses are assembled from a stream for the Responses API, with reasoning and calls', async () => {
    const thought = await ask('/v1/responses', { input: 'please think' }, 'thinking')
    assert.match(JSON.stringify(thought.json.output), /"type":"reasoning".*Six times seven/)
    const called = await ask('/v1/responses', { input: 'weather in Paris' }, 'tools')
    assert.match(JSON.stringify(called.json.output), /"type":"function_call".*get_weather/)
    assert.equal(lastBody().stream, true)
  })

  test('whole responses are returned as they come if the operator drops stream_options', async () => {
    const { json } = await ask(chat, { model: 'cut', messages })
    assert.equal(json.choices[0].message.content, 'Hello! How can I help you today?')
  })

  test('a prompt that exceeds the context is an overflow error with both sizes', async () => {
    const { path, body } = recordedAs('overflow')
    const { status, json } = await ask(path, body, 'overflow')
    assert.deepEqual([status, json.error.code], [400, 'context_length_exceeded'])
    assert.match(json.error.message, /4096 tokens.*18009 tokens/)
  })

  test('a whole response whose stream breaks off is an error', async () => {
    const { stream } = recordedAs('text')
    const half = stream.text.slice(0, stream.text.length / 2)
    upstream.rescript({ kind: 'stream', pieces: [half], ending: 'cut' })
    const answer = await ask(chat, { messages })
    upstream.rescript(({ body }) => replay(current, body))
    assert.equal(answer.status, 502)
    assert.equal(answer.json.error.code, 'upstream_truncated')
  })

  test('a whole response is aborted at the server when its client disconnects', async () => {
    const before = upstream.requests.length
    upstream.rescript({ kind: 'stream', pieces: [openaiChunk({ content: 'la' })], ending: 'hang' })
    const client = await openRequest(router.url, chat, { model: 'm', messages })
    await upstream.requestReceived(before)
    client.destroy()
    await upstream.requestClosed(before)
    upstream.rescript(({ body }) => replay(current, body))
  })

  test('a stream for several prompts, which begins with null, is passed on', async () => {
    const { path, body, stream } = recordedAs('completion list')
    current = recordedAs('completion list')
    const answer = await post(router.url + path, { ...body, model: 'm', stream: true })
    assert.equal(answer.status, 200)
    assert.ok(answer.text.endsWith('data: [DONE]\n\n'), answer.text)
    assert.equal(answer.text.match(/"index":1/g)?.length, stream.text.match(/"index":1/g)?.length)
  })
})

describe('a llama.cpp server configured as another provider type', () => {
  const listing = {
    object: 'list',
    data: [{ id: 'tiny', object: 'model', owned_by: 'llamacpp', meta: { n_ctx: 4096, n_ctx_train: 32768 } }],
  }

  for (const type of ['openai', 'vllm']) {
    test(`a llama.cpp server configured as ${type} is detected by its model list`, async (t) => {
      const text = recordedAs('text')
      const asked = Promise.withResolvers<void>()
      const upstream = await startUpstream(({ method, url, body }) => {
        if (method === 'POST') return replay(text, body)
        if (url === '/v1/models') asked.resolve()
        return { kind: 'reply', body: url === '/v1/models' ? listing : {} }
      })
      const server = { api_type: type, api_host: upstream.url, model_path: 'tiny' }
      const router = await startRouter({
        env: { LLM_ROUTER_HEALTH_INTERVAL: '0.1' },
        models: modelsConfig({ m: [server] }),
      })
      t.after(async () => {
        await router.close()
        await upstream.close()
      })
      await asked.promise
      const { data } = JSON.parse(await (await fetch(`${router.url}/v1/models`)).text())
      assert.equal(data[0].max_model_len, 4096)
      const answer = await post(router.url + chat, { model: 'm', ...text.body })
      const sent = upstream.requests.findLast(({ method }) => method === 'POST')
      assert.equal(Object(sent?.body).stream, true)
      assert.deepEqual(comparable(JSON.parse(answer.text)), comparable(JSON.parse(text.whole.text)))
    })
  }

  test('a llama.cpp server is detected by the headers of its first response if it is not probed', async (t) => {
    const text = recordedAs('text')
    const upstream = await startUpstream(({ body }) => {
      const behaviour = replay(text, body)
      if (behaviour.kind === 'reply') behaviour.headers = { ...behaviour.headers, server: 'llama.cpp' }
      return behaviour
    })
    const router = await startRouter({
      models: modelsConfig({ m: [{ api_type: 'openai', api_host: upstream.url }] }),
    })
    t.after(async () => {
      await router.close()
      await upstream.close()
    })
    for (let time = 0; time < 2; time++) await post(router.url + chat, { model: 'm', ...text.body })
    assert.deepEqual(
      upstream.requests.map(({ body }) => Object(body).stream),
      [undefined, true],
    )
  })
})
