import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import OpenAI, { toFile } from 'openai'
import { openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const audio = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251))

describe('requests that are forwarded with routing and failover', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let client: OpenAI

  before(async () => {
    upstream = await startUpstream({ kind: 'reply', body: {} })
    const down = { api_type: 'vllm', api_host: 'http://127.0.0.1:1', id: 'down' }
    const server = (type: string) => ({
      api_type: type,
      api_host: upstream.url,
      model_path: 'org/upstream-model',
    })
    router = await startRouter({
      env: { LLM_ROUTER_BODY_LIMIT: '1000000' },
      models: modelsConfig({
        ranker: [down, server('vllm')],
        voice: [server('openai')],
        chats: [server('ollama')],
      }),
    })
    client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'x', maxRetries: 0 })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const last = () => upstream.requests.at(-1) ?? assert.fail('no upstream was asked')

  test('each path is forwarded to its own, unchanged except for the model', async () => {
    upstream.rescript({
      kind: 'reply',
      body: { model: 'org/upstream-model', results: [], usage: { total_tokens: 7 } },
    })
    for (const [path, reached] of [
      ['/v1/rerank', '/v1/rerank'],
      ['/rerank', '/v1/rerank'],
      ['/v2/rerank', '/v1/rerank'],
      ['/v1/score', '/v1/score'],
      ['/score', '/v1/score'],
      ['/tokenize', '/tokenize'],
      ['/detokenize', '/detokenize'],
      ['/api/v1/rerank', '/v1/rerank'],
      ['/pooling', '/pooling'],
      ['/v1/pooling', '/pooling'],
      ['/classify', '/classify'],
      ['/v2/embed', '/v2/embed'],
      ['/api/v2/embed', '/v2/embed'],
      ['/v1/responses/input_tokens', '/v1/responses/input_tokens'],
    ] as const) {
      const body = '{ "query":"q",  "seed":12345678901234567890,"model":"ranker"}'
      const answer = await post(router.url + path, body)
      assert.equal(answer.status, 200, path)
      assert.equal(last().url, reached)
      assert.equal(last().raw.toString(), body.replace('"ranker"', '"org/upstream-model"'))
      assert.equal(JSON.parse(answer.text).model, 'ranker')
    }
  })

  test('the log line has the model, the target, the attempts and the tokens', async () => {
    upstream.rescript({ kind: 'reply', body: { results: [], usage: { total_tokens: 7 } } })
    const logged = router.requestLogged()
    await post(`${router.url}/v1/rerank`, { model: 'ranker', query: 'q', documents: [] })
    const line = await logged
    assert.deepEqual([line.model, line.status, line.prompt_tokens], ['ranker', 200, 7])
  })

  test('speech arrives as it is sent, with its media type', async () => {
    const pieces = [audio.subarray(0, 1000), audio.subarray(1000)]
    upstream.rescript({
      kind: 'stream',
      headers: { 'content-type': 'audio/mpeg', 'x-secret': 'box-7' },
      pieces,
    })
    const answer = await client.audio.speech.create({ model: 'voice', voice: 'alloy', input: 'Hello' })
    assert.equal(answer.headers.get('content-type'), 'audio/mpeg')
    assert.equal(answer.headers.get('x-secret'), null)
    assert.ok(answer.headers.get('x-request-id'))
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), audio)
    assert.equal((last().body as { model: string }).model, 'org/upstream-model')
  })

  test('the first byte is not delayed until the last', async () => {
    const rest = Promise.withResolvers<Uint8Array>()
    upstream.rescript({
      kind: 'stream',
      headers: { 'content-type': 'audio/mpeg' },
      pieces: ['first', rest.promise],
    })
    const answer = await client.audio.speech.create({ model: 'voice', voice: 'alloy', input: 'Hello' })
    const reader = answer.body?.getReader() ?? assert.fail('no body')
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), 'first')
    rest.resolve(Buffer.from('last'))
    assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), 'last')
    assert.equal((await reader.read()).done, true)
  })

  test('images arrive as JSON through the official client', async () => {
    upstream.rescript({ kind: 'reply', body: { created: 1, data: [{ b64_json: 'AAAA' }] } })
    const answer = await client.images.generate({ model: 'voice', prompt: 'a cat' })
    assert.equal(answer.data?.[0]?.b64_json, 'AAAA')
  })

  test('an answer that breaks off is broken off for the client, and logged as truncated', async () => {
    const headers = { 'content-type': 'audio/mpeg' }
    upstream.rescript({ kind: 'stream', headers, pieces: ['first'], ending: 'cut' })
    const logged = router.requestLogged()
    const answer = await client.audio.speech.create({ model: 'voice', voice: 'alloy', input: 'Hello' })
    await assert.rejects(answer.arrayBuffer())
    const line = await logged
    assert.deepEqual([line.outcome, line.status], ['truncated', 200])
  })

  test("an upstream's rejection or failure keeps its status, in the error format of the dialect", async () => {
    upstream.rescript({ kind: 'reply', status: 400, body: { error: { message: 'voice is unknown' } } })
    await assert.rejects(client.audio.speech.create({ model: 'voice', voice: 'x', input: 'Hello' }), {
      status: 400,
      message: /voice is unknown/,
    })
    upstream.rescript({ kind: 'reply', status: 500, body: 'oops' })
    await assert.rejects(client.audio.speech.create({ model: 'voice', voice: 'x', input: 'Hello' }), {
      status: 502,
    })
  })

  test('an error that arrives with status 200 is an error', async () => {
    for (const [error, status] of [
      ['The engine is dead', 502],
      [{ message: 'No documents', type: 'BadRequestError', code: 400 }, 400],
    ] as const) {
      upstream.rescript({ kind: 'reply', body: { error } })
      const answer = await post(`${router.url}/v1/rerank`, { model: 'ranker', query: 'q', documents: [] })
      assert.equal(answer.status, status, answer.text)
    }
  })

  test('a client that disconnects ends the upstream request', async () => {
    upstream.rescript({ kind: 'hang' })
    const index = upstream.requests.length
    const socket = await openRequest(router.url, '/v1/audio/speech', { model: 'voice', input: 'Hello' })
    await upstream.requestReceived(index)
    socket.destroy()
    await upstream.requestClosed(index)
  })

  test('a client that does not read pauses the upstream', async () => {
    const total = 64 * 1024 * 1024
    const piece = Buffer.alloc(64 * 1024)
    const pieces = function* () {
      for (let sent = 0; sent < total; sent += piece.length) yield piece
    }
    upstream.rescript({ kind: 'stream', headers: { 'content-type': 'audio/wav' }, pieces: pieces() })
    const index = upstream.requests.length
    const socket = await openRequest(router.url, '/v1/audio/speech', { model: 'voice', input: 'Hello' })
    await once(socket, 'readable')
    const request = await upstream.requestReceived(index)
    assert.ok(request.sentBytes < total / 2, String(request.sentBytes))
    socket.destroy()
    await upstream.requestClosed(index)
    assert.ok(request.sentBytes < total, 'the upstream was read to the end')
  })

  test('a model whose servers lack the operation is rejected with an error that names it', async () => {
    const answer = await post(`${router.url}/v1/rerank`, { model: 'chats', query: 'q' })
    assert.equal(answer.status, 400)
    assert.match(JSON.parse(answer.text).error.message, /'chats' does not support reranking/)
    assert.equal((await post(`${router.url}/v1/rerank`, { model: 'none' })).status, 404)
    assert.equal((await post(`${router.url}/v1/rerank`, { query: 'q' })).status, 400)
  })

  test('a transcription is forwarded with its file unchanged and the name of the model replaced', async () => {
    upstream.rescript({ kind: 'reply', body: { text: 'hello' } })
    const file = await toFile(audio, 'a.wav', { type: 'audio/wav' })
    const answer = await client.audio.transcriptions.create({ file, model: 'voice', language: 'en' })
    assert.equal(answer.text, 'hello')
    const { url, headers, raw } = last()
    assert.equal(url, '/v1/audio/transcriptions')
    assert.equal(Number(headers['content-length']), raw.length)
    assert.equal(headers['transfer-encoding'], undefined)
    const sent = await new Response(new Uint8Array(raw), {
      headers: { 'content-type': String(headers['content-type']) },
    }).formData()
    assert.deepEqual([sent.get('model'), sent.get('language')], ['org/upstream-model', 'en'])
    const upload = sent.get('file')
    assert.ok(upload instanceof File)
    assert.deepEqual(Buffer.from(await upload.arrayBuffer()), audio)
  })

  test('moderations, translated speech and edited images reach their paths through the official client', async () => {
    upstream.rescript({ kind: 'reply', body: { id: 'modr-1', model: 'org/upstream-model', results: [] } })
    assert.equal((await client.moderations.create({ model: 'voice', input: 'x' })).model, 'voice')
    assert.equal(last().url, '/v1/moderations')
    upstream.rescript({ kind: 'reply', body: { text: 'hello' } })
    const file = await toFile(audio, 'a.wav', { type: 'audio/wav' })
    assert.equal((await client.audio.translations.create({ file, model: 'voice' })).text, 'hello')
    assert.equal(last().url, '/v1/audio/translations')
    upstream.rescript({ kind: 'reply', body: { created: 1, data: [{ b64_json: 'AAAA' }] } })
    const image = await toFile(audio, 'a.png', { type: 'image/png' })
    const edited = await client.images.edit({ image: [image, image], model: 'voice', prompt: 'a hat' })
    assert.equal(edited.data?.[0]?.b64_json, 'AAAA')
    const { url, headers, raw } = last()
    assert.equal(url, '/v1/images/edits')
    const sent = await new Response(new Uint8Array(raw), {
      headers: { 'content-type': String(headers['content-type']) },
    }).formData()
    assert.equal(sent.getAll('image[]').length, 2)
    const body = { model: 'voice', prompt: 'a hat', images: [{ file_id: 'file-1' }] }
    assert.equal((await post(`${router.url}/v1/images/edits`, body)).status, 200)
    assert.deepEqual(last().body, { ...body, model: 'org/upstream-model' })
  })

  test('pooled bytes are forwarded unchanged', async () => {
    const pieces = [audio.subarray(0, 1000)]
    upstream.rescript({ kind: 'stream', headers: { 'content-type': 'application/octet-stream' }, pieces })
    const answer = await post(`${router.url}/pooling`, {
      model: 'ranker',
      input: 'x',
      encoding_format: 'bytes_only',
    })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'application/octet-stream')
  })

  test("Cohere's token count is logged", async () => {
    upstream.rescript({
      kind: 'reply',
      body: { embeddings: {}, meta: { billed_units: { input_tokens: 9 } } },
    })
    const logged = router.requestLogged()
    await post(`${router.url}/v2/embed`, { model: 'ranker', texts: ['x'] })
    assert.equal((await logged).prompt_tokens, 9)
  })

  test('the model may come after the file, and on failover another target gets the whole form', async () => {
    upstream.rescript([
      { kind: 'reply', status: 503, body: {} },
      { kind: 'reply', headers: { 'content-type': 'text/plain' }, body: 'hello' },
    ])
    const form = new FormData()
    form.append('file', new Blob([new Uint8Array(audio)]), 'a.wav')
    form.append('model', 'voice')
    const two = await startRouter({
      models: modelsConfig({
        voice: [
          { api_type: 'openai', api_host: upstream.url, model_path: 'first' },
          { api_type: 'vllm', api_host: upstream.url, model_path: 'the second' },
        ],
      }),
    })
    const answer = await fetch(`${two.url}/v1/audio/transcriptions`, { method: 'POST', body: form })
    assert.deepEqual([answer.status, await answer.text()], [200, 'hello'])
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/)
    const sizes = upstream.requests.slice(-2).map(({ raw }) => raw.length)
    assert.equal((sizes[1] ?? 0) - (sizes[0] ?? 0), 'the second'.length - 'first'.length)
    await two.close()
  })

  test('a client that disconnects during its upload reaches no upstream', async () => {
    const before = upstream.requests.length
    const { hostname, port } = new URL(router.url)
    const logged = router.requestLogged()
    const socket = connect(Number(port), hostname)
    const headers = ['host: x', 'content-type: multipart/form-data; boundary=b', 'content-length: 1000']
    socket.write(`POST /v1/audio/transcriptions HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n--b\r\n`, () =>
      socket.end(),
    )
    assert.equal((await logged).outcome, 'client_gone')
    assert.equal(upstream.requests.length, before)
  })

  test('a form that is too large, cut off, or has a missing or unknown model is rejected', async () => {
    const send = (form: FormData) =>
      fetch(`${router.url}/v1/audio/transcriptions`, { method: 'POST', body: form })
    const empty = new FormData()
    empty.append('file', new Blob(['x']), 'a.wav')
    assert.equal((await send(empty)).status, 400)
    empty.append('model', 'none')
    assert.equal((await send(empty)).status, 404)
    const large = new FormData()
    large.append('model', 'voice')
    large.append('file', new Blob([new Uint8Array(1_000_001)]), 'a.wav')
    assert.equal((await send(large)).status, 413)
    const url = `${router.url}/v1/audio/transcriptions`
    const cut = await post(url, '--b\r\n', { 'content-type': 'multipart/form-data; boundary=b' })
    assert.equal(cut.status, 400)
    assert.equal((await post(url, 'x', { 'content-type': 'multipart/form-data' })).status, 415)
    assert.equal((await post(url, { model: 'voice' })).status, 415)
  })
})

test('a server without the path for chats is reported as one whose api_type or api_host may be wrong', async (t) => {
  const upstream = await startUpstream({ kind: 'reply', status: 404, body: '404 page not found' })
  t.after(() => upstream.close())
  const router = await startRouter({
    models: modelsConfig({ mistaken: [{ api_type: 'ollama', api_host: upstream.url }] }),
  })
  t.after(() => router.close())
  const answer = await post(`${router.url}/v1/chat/completions`, { model: 'mistaken', messages })
  assert.equal(answer.status, 400)
  const { code, message } = JSON.parse(answer.text).error
  assert.equal(code, 'unsupported_operation')
  assert.match(message, /its server has no such path; check api_type and api_host of the provider$/)
})
