import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  ollamaDone,
  ollamaLine,
  ollamaPieces,
  openaiChunk,
  openaiDone,
  openaiText,
  openaiUsageChunk,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  const vllm = { api_type: 'vllm', api_host: upstream.url, model_path: upstreamModel }
  router = await startRouter({
    models: modelsConfig({
      plain: [{ ...vllm, id: 'plain' }],
      quiet: [{ ...vllm, id: 'quiet', stream_usage: false }],
      trimmed: [{ ...vllm, id: 'trimmed', tool_calling: false, drop_params: ['top_k'] }],
      filled: [
        {
          ...vllm,
          id: 'filled',
          defaults: { temperature: 0.25, max_tokens: 7, chat_template_kwargs: { a: 1 } },
        },
      ],
      box: [
        {
          id: 'box',
          api_type: 'ollama',
          api_host: upstream.url,
          model_path: upstreamModel,
          options: { num_ctx: 8192 },
          keep_alive: '1h',
        },
      ],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

async function forwarded(path: string, body: string): Promise<string> {
  const index = upstream.requests.length
  await post(router.url + path, body)
  return upstream.requests[index]?.raw.toString() ?? ''
}

test('a request reaches its upstream byte for byte, with only the model replaced', async () => {
  upstream.rescript(openaiText('Hi'))
  const body =
    '{ "messages":[{"content":"zażółć 🦙","role":"user"}],\n\t"seed":12345678901234567890, "x":-0,"guided_choice":["a","b"] ,"model" : "plain","x":1e400}'
  assert.equal(await forwarded('/v1/chat/completions', body), body.replace('"plain"', `"${upstreamModel}"`))
})

test('a whole answer comes back byte for byte, with only the model replaced', async () => {
  const answer =
    '{"id":"x", "model": "upstream-model",\n"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"big":12345678901234567890,"z":-0}\n'
  upstream.rescript({ kind: 'reply', body: answer })
  const { text } = await post(`${router.url}/v1/chat/completions`, {
    model: 'plain',
    messages: [{ role: 'user', content: 'x' }],
  })
  assert.equal(text, answer.replace('"upstream-model"', '"plain"'))
})

test('a stream comes back byte for byte except the model and the usage chunk that the router requested', async () => {
  const pieces = [
    ': a comment\n\n',
    openaiChunk({ role: 'assistant', content: '' }),
    openaiChunk({ content: 'says "model":"upstream-model" 🦙' }),
    'data: {"model": "upstream-model","choices":[{"index":0,"delta":{"content":"x"},"big":12345678901234567890}]}\r\n\r\n',
    openaiChunk({}, 'stop'),
  ]
  upstream.rescript({
    kind: 'stream',
    pieces: [...pieces, openaiUsageChunk(), openaiDone, 'data: after the end\n\n'],
  })
  const body = '{"model":"plain","stream":true,"messages":[{"role":"user","content":"x"}]}'
  const index = upstream.requests.length
  const { text, headers } = await post(`${router.url}/v1/chat/completions`, body)
  const expected = pieces.map((piece) =>
    piece.replace(/("model": ?)"upstream-model","choices"/, '$1"plain","choices"'),
  )
  assert.equal(text, [...expected, openaiDone].join(''))
  assert.match(headers.get('content-type') ?? '', /^text\/event-stream/)
  assert.equal(headers.get('cache-control'), 'no-cache')
  assert.equal(headers.get('x-accel-buffering'), 'no')
  const sent = upstream.requests[index]?.body as Record<string, unknown>
  assert.deepEqual(sent.stream_options, { include_usage: true })
  const line = await router.requestLogged(headers.get('x-request-id') ?? '')
  assert.deepEqual([line.prompt_tokens, line.completion_tokens, line.outcome], [9, 3, 'success'])
})

test('a provider with stream_usage off is not asked for token counts', async () => {
  upstream.rescript({
    kind: 'stream',
    pieces: [openaiChunk({ content: 'x' }), openaiChunk({}, 'stop'), openaiDone],
  })
  const body = '{"model":"quiet","stream":true,"messages":[{"role":"user","content":"x"}]}'
  assert.equal(await forwarded('/v1/chat/completions', body), body.replace('quiet', upstreamModel))
})

test('tool_calling off and drop_params remove members and leave the rest unchanged', async () => {
  upstream.rescript(openaiText('Hi'))
  const body =
    '{"model":"trimmed","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto", "seed":12345678901234567890,"top_k":5,"messages":[{"role":"user","content":"x"}],"parallel_tool_calls":false}'
  assert.equal(
    await forwarded('/v1/chat/completions', body),
    `{"model":"${upstreamModel}","seed":12345678901234567890,"messages":[{"role":"user","content":"x"}]}`,
  )
})

test('defaults fill in what the request omits, and override nothing', async () => {
  upstream.rescript(openaiText('Hi'))
  const messages = [{ role: 'user', content: 'x' }]
  const sent = JSON.parse(
    await forwarded('/v1/chat/completions', JSON.stringify({ model: 'filled', messages, temperature: 1 })),
  )
  assert.deepEqual(sent, {
    model: upstreamModel,
    messages,
    temperature: 1,
    max_tokens: 7,
    chat_template_kwargs: { a: 1 },
  })
  const limited = JSON.parse(
    await forwarded(
      '/v1/chat/completions',
      JSON.stringify({ model: 'filled', messages, max_completion_tokens: 3 }),
    ),
  )
  assert.equal(limited.max_tokens, undefined)
})

test('an Ollama request to Ollama keeps its bytes, and gets the configured keep_alive and num_ctx', async () => {
  upstream.rescript(ollamaPieces([ollamaLine({ content: 'Hi' }), ollamaDone()]))
  const sent = JSON.parse(
    await forwarded(
      '/api/chat',
      '{"model":"box","messages":[{"role":"user","content":"x"}],"options":{"seed":7}}',
    ),
  )
  assert.deepEqual(sent.options, { seed: 7, num_ctx: 8192 })
  assert.equal(sent.keep_alive, '1h')
  assert.equal('stream' in sent, false, "streaming is Ollama's default")
})

test('model_name is accepted instead of model, and is not sent upstream', async () => {
  upstream.rescript(openaiText('Hi'))
  const sent = JSON.parse(
    await forwarded(
      '/v1/chat/completions',
      '{"model_name":"plain","messages":[{"role":"user","content":"x"}]}',
    ),
  )
  assert.deepEqual(sent, { model: upstreamModel, messages: [{ role: 'user', content: 'x' }] })
})

test('the string "false" for stream disables streaming', async () => {
  upstream.rescript(openaiText('Hi'))
  const sent = JSON.parse(
    await forwarded(
      '/v1/chat/completions',
      '{"model":"plain","stream":"false","messages":[{"role":"user","content":"x"}]}',
    ),
  )
  assert.equal(sent.stream, false)
})
