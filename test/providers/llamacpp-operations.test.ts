import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiStream,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

/** What llama-server b10434 returns. */
const pieces = [
  { id: 71, piece: 'h' },
  { id: 372, piece: 'ello' },
]
const answers: Record<string, (body: Record<string, unknown>) => unknown> = {
  '/tokenize': ({ content = '', with_pieces }) => ({
    tokens: content === '' ? [] : with_pieces ? pieces : pieces.map(({ id }) => id),
  }),
  '/detokenize': () => ({ content: 'hello' }),
  '/v1/messages/count_tokens': () => ({ input_tokens: 10 }),
  '/infill': () => ({ index: 0, content: 'return a + b', model: 'tiny', stop: true }),
  '/v1/rerank': () => ({
    model: 'tiny',
    object: 'list',
    usage: { prompt_tokens: 6, total_tokens: 6 },
    results: [{ index: 1, relevance_score: 2.7 }],
  }),
}

const streamedText = (text: string): Behaviour => openaiStream([text])

describe('llama.cpp operations other than chat', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  const answer = ({ url, body }: RecordedRequest) => {
    const made = answers[url]
    return made
      ? { kind: 'reply' as const, body: made(Object(body)) }
      : { kind: 'reply' as const, status: 404, body: { error: { code: 404, message: 'File Not Found' } } }
  }

  before(async () => {
    upstream = await startUpstream(answer)
    const at = (api_type: string) => [{ api_type, api_host: upstream.url, model_path: 'tiny' }]
    router = await startRouter({
      models: modelsConfig({ m: at('llamacpp'), vllm: at('vllm'), ollama: at('ollama') }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const ask = async (path: string, body: object) => {
    const { status, text, headers } = await post(router.url + path, { model: 'm', ...body })
    return { status, json: JSON.parse(text), estimated: headers.get('x-llm-router-estimate') === 'true' }
  }
  const sent = (): Record<string, unknown> => Object(upstream.requests.at(-1)?.body)

  test('llama.cpp tokenizes with its own fields', async () => {
    const { json } = await ask('/tokenize', { content: 'hello', with_pieces: true })
    assert.deepEqual(json, { tokens: pieces })
    assert.deepEqual(sent(), { model: 'tiny', content: 'hello', with_pieces: true })
  })

  test("llama.cpp tokenizes with vLLM's fields", async () => {
    const { json } = await ask('/tokenize', { prompt: 'hello' })
    assert.deepEqual(json, { tokens: [71, 372], count: 2 })
    assert.deepEqual(sent(), { model: 'tiny', content: 'hello', add_special: true })
    const strings = await ask('/v1/tokenize', {
      prompt: 'hello',
      add_special_tokens: false,
      return_token_strs: true,
    })
    assert.deepEqual(strings.json, { tokens: [71, 372], count: 2, token_strs: ['h', 'ello'] })
    assert.equal(sent().add_special, false)
  })

  test('tokenizing a chat is rejected, because llama.cpp would return no tokens', async () => {
    const asked = upstream.requests.length
    const { status, json } = await ask('/tokenize', { messages })
    assert.equal(status, 400)
    assert.match(json.error.message, /count_tokens/)
    assert.equal(upstream.requests.length, asked)
  })

  test("llama.cpp detokenizes, with vLLM's field beside its own", async () => {
    const { json } = await ask('/detokenize', { tokens: [71, 372] })
    assert.deepEqual(json, { content: 'hello', prompt: 'hello' })
  })

  test('infill completes between a prefix and a suffix on llama.cpp, and is rejected for other servers', async () => {
    const body = { input_prefix: 'def add(a, b):\n', input_suffix: '\n', n_predict: 8 }
    const { json } = await ask('/infill', body)
    assert.deepEqual([json.content, json.model], ['return a + b', 'm'])
    assert.deepEqual(sent(), { model: 'tiny', ...body })
    upstream.rescript(streamedText('return'))
    const stream = await post(`${router.url}/api/infill`, { ...body, model: 'm', stream: true })
    assert.match(stream.headers.get('content-type') ?? '', /^text\/event-stream/)
    assert.match(stream.text, /return/)
    upstream.rescript(answer)
    const elsewhere = await ask('/infill', { ...body, model: 'vllm' })
    assert.deepEqual([elsewhere.status, elsewhere.json.error.code], [400, 'unsupported_operation'])
  })

  test('llama.cpp reranks documents', async () => {
    const { json } = await ask('/v1/rerank', { query: 'a', documents: ['b', 'c'] })
    assert.deepEqual([json.model, json.results[0].index], ['m', 1])
  })

  test('llama.cpp counts the prompt tokens of every dialect exactly', async () => {
    const anthropic = await ask('/v1/messages/count_tokens', { messages })
    assert.deepEqual([anthropic.json, anthropic.estimated], [{ input_tokens: 10 }, false])
    const responses = await ask('/v1/responses/input_tokens', {
      instructions: 'Be brief',
      input: [
        { role: 'user', content: 'Hello' },
        { role: 'developer', content: 'Be kind' },
      ],
    })
    assert.deepEqual(responses.json, { object: 'response.input_tokens', input_tokens: 10 })
    assert.equal(responses.estimated, false)
    assert.deepEqual(Object.keys(sent()).sort(), ['messages', 'model', 'system'])
    const gemini = await post(`${router.url}/v1beta/models/m:countTokens`, {
      contents: [{ role: 'user', parts: [{ text: 'Hello' }] }],
    })
    assert.deepEqual(JSON.parse(gemini.text), { totalTokens: 10 })
  })

  test('llama.cpp counts the prompt tokens of a request that continues a stored response', async () => {
    upstream.rescript(streamedText('Hi'))
    const first = await ask('/v1/responses', { input: 'Hello' })
    upstream.rescript(answer)
    const next = await ask('/v1/responses/input_tokens', {
      previous_response_id: first.json.id,
      input: 'Bye',
    })
    assert.equal(next.json.input_tokens, 10)
    assert.match(JSON.stringify(sent().messages), /Hello.*Hi.*Bye/)
    const unknown = await ask('/v1/responses/input_tokens', { previous_response_id: 'resp_x', input: 'Bye' })
    assert.deepEqual([unknown.status, unknown.json.error.code], [400, 'previous_response_not_found'])
  })

  test('input tokens of a response are counted by tokenizing, or estimated, if the server has no path for it', async () => {
    answers['/tokenize'] = () => ({ count: 7, max_model_len: 4096, tokens: [] })
    const older = await ask('/v1/responses/input_tokens', { model: 'vllm', input: 'Hello' })
    assert.deepEqual([older.json.input_tokens, older.estimated], [7, false])
    const none = await ask('/v1/responses/input_tokens', { model: 'ollama', input: 'Hello' })
    assert.ok(none.estimated && none.json.input_tokens > 0)
    const invalid = await ask('/v1/responses/input_tokens', { model: 'ollama', input: 5 })
    assert.deepEqual([invalid.status, invalid.json.error.param], [400, 'input'])
  })
})

describe('a llama.cpp server in router mode', () => {
  const model = (id: string, value: string, meta?: object) => ({
    id,
    aliases: [],
    tags: [],
    object: 'model',
    owned_by: 'llamacpp',
    created: 1,
    status: { value, args: ['llama-server', '--alias', id] },
    ...(meta ? { meta } : {}),
  })
  let upstream: ScriptedUpstream
  let router: TestRouter
  let listing: object[]

  before(async () => {
    upstream = await startUpstream(({ url }) =>
      url === '/v1/models'
        ? { kind: 'reply', body: { object: 'list', data: listing } }
        : streamedText('Hello from it'),
    )
    const at = (model_path: string) => [{ api_type: 'llamacpp', api_host: upstream.url, model_path }]
    router = await startRouter({ models: modelsConfig({ one: at('a'), two: at('b'), gone: at('c') }) })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const loaded = async () => {
    const { models } = JSON.parse(await (await fetch(`${router.url}/api/ps`)).text())
    return models.map(({ name, context_length }: Record<string, unknown>) => [name, context_length])
  }

  test('a llama.cpp server in router mode gets the model name in the body, and its loaded models are listed', async () => {
    listing = [model('a', 'loaded', { n_ctx: 4096, n_ctx_train: 32768 }), model('b', 'unloaded')]
    assert.deepEqual(await loaded(), [['one', 4096]])
    await post(`${router.url}/v1/chat/completions`, { model: 'two', messages })
    assert.equal(Object(upstream.requests.at(-1)?.body).model, 'b')
  })

  test('the only model of a llama.cpp server in router mode does not match every name', async (t) => {
    const single = await startUpstream({
      kind: 'reply',
      body: { object: 'list', data: [model('a', 'loaded', { n_ctx: 4096 })] },
    })
    const other = await startRouter({
      models: modelsConfig({
        a: [{ api_type: 'llamacpp', api_host: single.url }],
        b: [{ api_type: 'llamacpp', api_host: single.url }],
      }),
    })
    t.after(async () => {
      await other.close()
      await single.close()
    })
    const { models } = JSON.parse(await (await fetch(`${other.url}/api/ps`)).text())
    assert.deepEqual(
      models.map(({ name }: { name: string }) => name),
      ['a'],
    )
  })
})
