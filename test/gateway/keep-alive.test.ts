import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import Anthropic from '@anthropic-ai/sdk'
import { streamText } from 'ai'
import OpenAI from 'openai'
import { anthropicEvent } from '../clients/anthropic-answers.ts'
import { openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  ollamaDone,
  ollamaLine,
  openaiChunk,
  openaiDone,
  openaiError,
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

// Otherwise the library writes its warnings to the console.
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })

const comment = ': keep-alive\n\n'
const ping = 'event: ping\ndata: {"type": "ping"}\n\n'

let upstream: ScriptedUpstream
let spare: ScriptedUpstream
let silent: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  spare = await startUpstream(openaiStream(['from the spare']))
  silent = await startUpstream({ kind: 'hang' })
  const server = { api_type: 'vllm', api_host: upstream.url, model_path: upstreamModel }
  router = await startRouter({
    env: {
      LLM_ROUTER_STREAM_KEEPALIVE: '0.05',
      LLM_ROUTER_BALANCE_STRATEGY: 'first_available',
      LLM_ROUTER_QUEUE_TIMEOUT: '2',
    },
    models: modelsConfig({
      one: [{ ...server, id: 'one box' }],
      two: [
        { ...server, id: 'two' },
        { ...server, id: 'spare', api_host: spare.url },
      ],
      silent: [{ ...server, id: 'silent', api_host: silent.url }],
      native: [{ ...server, id: 'native', api_type: 'ollama' }],
      claude: [{ ...server, id: 'claude', api_type: 'anthropic' }],
      responses: [{ ...server, id: 'responses', api_type: 'openai', responses: true }],
    }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
  await spare.close()
  await silent.close()
})

/** A stream whose pieces each wait until the client has received a keep-alive. */
async function* between(pieces: readonly string[], silences: AsyncIterator<void>): AsyncGenerator<string> {
  for (const piece of pieces) {
    await silences.next()
    yield piece
  }
}

/** Streams from the router and reports each comment or ping. */
class Watched {
  text = ''
  status = 0
  headers = new Headers()
  readonly #signs: (() => void)[] = []
  #seen = 0
  #taken = 0

  /** For a client that accepts a custom `fetch`. */
  readonly fetch: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    const decoder = new TextDecoder()
    const note = new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) => {
        this.text += decoder.decode(bytes, { stream: true })
        this.#seen = this.text.split(/^(?:: keep-alive|event: ping)$/m).length - 1
        for (const sign of this.#signs.splice(0)) sign()
        controller.enqueue(bytes)
      },
    })
    const { status, headers } = response
    this.status = status
    this.headers = headers
    return new Response(response.body?.pipeThrough(note) ?? null, { status, headers })
  }

  async ask(path: string, body: object, signal: AbortSignal | null = null): Promise<string> {
    const response = await this.fetch(router.url + path, {
      method: 'POST',
      signal,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ stream: true, ...body }),
    })
    await response.text()
    return this.text
  }

  /** One item per received keep-alive. */
  async *silences(): AsyncGenerator<void> {
    for (;;) {
      this.#taken++
      while (this.#seen < this.#taken) await new Promise<void>((resolve) => this.#signs.push(resolve))
      yield
    }
  }
}

/** Fulfilled after this many keep-alives in a silence that begins now: the time that other streams are given. */
async function silencePasses(times: number): Promise<void> {
  const witness = new Watched()
  const left = new AbortController()
  const asked = witness.ask('/v1/chat/completions', { model: 'silent', messages }, left.signal)
  asked.catch(() => undefined) // it disconnects below
  const silences = witness.silences()
  for (let index = 0; index < times; index++) await silences.next()
  left.abort()
}

describe('keep-alives in streams of every dialect', () => {
  const openaiPieces = [
    openaiChunk({ role: 'assistant', content: 'a' }),
    openaiChunk({ content: 'b' }),
    openaiChunk({}, 'stop'),
    openaiDone,
  ]
  const anthropicPieces = [
    { type: 'message_start', message: { id: 'msg_1', model: upstreamModel, usage: { input_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'a' } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ].map(anthropicEvent)
  const done = { id: 'resp_1', object: 'response', status: 'completed', model: upstreamModel, output: [] }
  const responsesPieces = [
    { type: 'response.created', response: { ...done, status: 'in_progress' } },
    { type: 'response.output_text.delta', output_index: 0, content_index: 0, delta: 'a' },
    { type: 'response.completed', response: done },
  ].map(anthropicEvent)

  for (const [name, path, body, pieces, sign, end] of [
    [
      'openai over openai',
      '/v1/chat/completions',
      { model: 'one', messages },
      openaiPieces,
      comment,
      'data: [DONE]',
    ],
    [
      'completions over openai',
      '/v1/completions',
      { model: 'one', prompt: 'hi' },
      openaiPieces.map((piece) =>
        piece
          .replaceAll('"delta":{"content":', '"text":')
          .replace('"b"}', '"b"')
          .replace('"delta":{"role":"assistant","content":"a"}', '"text":"a"'),
      ),
      comment,
      'data: [DONE]',
    ],
    [
      'anthropic over openai',
      '/v1/messages',
      { model: 'one', messages, max_tokens: 9 },
      openaiPieces,
      ping,
      'event: message_stop',
    ],
    [
      'responses over openai',
      '/v1/responses',
      { model: 'one', input: 'hi' },
      openaiPieces,
      comment,
      'event: response.completed',
    ],
    [
      'anthropic over anthropic',
      '/v1/messages',
      { model: 'claude', messages, max_tokens: 9 },
      anthropicPieces,
      ping,
      'event: message_stop',
    ],
    [
      'openai over anthropic',
      '/v1/chat/completions',
      { model: 'claude', messages },
      anthropicPieces,
      comment,
      'data: [DONE]',
    ],
    [
      'responses over responses',
      '/v1/responses',
      { model: 'responses', input: 'hi' },
      responsesPieces,
      comment,
      'event: response.completed',
    ],
  ] as const) {
    test(`keep-alives fill every silence of a stream: ${name}`, async () => {
      const client = new Watched()
      upstream.rescript({ kind: 'stream', pieces: between(pieces, client.silences()) })
      const text = await client.ask(path, body)
      assert.equal(client.status, 200)
      assert.ok(text.startsWith(sign), text.slice(0, 200))
      assert.ok(text.split(sign).length - 1 >= pieces.length, 'one before each piece')
      assert.ok(text.includes(end), text)
      assert.doesNotMatch(text, /event: (?:error|response\.failed)|"error":\{/)
      assert.match(text, /: llm-router target=\S+ lost=\S*\n\n$/)
    })
  }

  test('Ollama lines have no comments, and a stream that is never silent has none', async () => {
    upstream.rescript({
      kind: 'stream',
      headers: { 'content-type': 'application/x-ndjson' },
      pieces: [silencePasses(4), ollamaLine({ content: 'a' }), ollamaDone()],
    })
    const lines = await post(`${router.url}/api/chat`, { model: 'native', messages, stream: true })
    for (const line of lines.text.trimEnd().split('\n')) JSON.parse(line)
    upstream.rescript(openaiStream(['a', 'b']))
    const { text } = await post(`${router.url}/v1/chat/completions`, { model: 'one', messages, stream: true })
    assert.doesNotMatch(text, /^:/m)
  })

  test('a whole answer has no keep-alives', async () => {
    upstream.rescript(async () => {
      await silencePasses(4)
      return openaiText('whole')
    })
    const { text } = await post(`${router.url}/v1/chat/completions`, { model: 'one', messages })
    assert.equal(JSON.parse(text).choices[0].message.content, 'whole')
  })
})

test('no keep-alive is written inside an event that is sent in pieces', async () => {
  const long = openaiChunk({ content: 'x'.repeat(200_000) })
  upstream.rescript({
    kind: 'stream',
    pieces: [
      openaiChunk({ content: 'a' }),
      long.slice(0, 150_000),
      silencePasses(6),
      long.slice(150_000),
      openaiChunk({}, 'stop'),
      openaiDone,
    ],
  })
  const { text } = await post(`${router.url}/v1/chat/completions`, { model: 'one', messages, stream: true })
  assert.ok(text.includes('x'.repeat(200_000)))
})

describe('after a stream was opened', () => {
  test('another target still takes over, and the last comment names it and the dropped fields', async () => {
    const client = new Watched()
    const silences = client.silences()
    upstream.rescript(async () => {
      await silences.next()
      return openaiError(503, { message: 'busy' })
    })
    const text = await client.ask('/v1/messages', {
      model: 'two',
      messages,
      max_tokens: 9,
      thinking: { type: 'enabled', budget_tokens: 1024 },
      top_k: 3,
      metadata: { user_id: 'u', other: 1 },
      service_tier: 'auto',
    })
    assert.match(text, /from the spare/)
    assert.match(text, /event: message_stop\n.*\n\n: llm-router target=spare lost=\S+\n\n$/)
    assert.equal(client.headers.get('x-llm-router-model'), 'two')
    assert.equal(client.headers.get('x-llm-router-lost'), null)
  })

  for (const [path, body, expected] of [
    [
      '/v1/chat/completions',
      { messages },
      /\ndata: \{"error":\{.*\}\}\n\n: llm-router target=one%20box lost=\n\n$/,
    ],
    [
      '/v1/messages',
      { messages, max_tokens: 9 },
      /\nevent: error\ndata: \{"type":"error".*\}\n\n: llm-router target=\S+ lost=\n\n$/,
    ],
    [
      '/v1/responses',
      { input: 'hi' },
      /\nevent: response\.created\n(?:.*\n)*event: response\.failed\ndata: .*\n\n: llm-router target=\S+ lost=\n\n$/,
    ],
  ] as const) {
    test(`an error is an event: ${path}`, async () => {
      const client = new Watched()
      const silences = client.silences()
      upstream.rescript(async () => {
        await silences.next()
        return openaiError(400, { message: 'no such thing' })
      })
      const logged = router.requestLogged()
      const text = await client.ask(path, { model: 'one', ...body })
      assert.equal(client.status, 200)
      assert.match(text, expected)
      assert.doesNotMatch(text, /\[DONE\]|message_stop/)
      assert.equal((await logged).outcome, 'truncated')
    })
  }

  test('a client that disconnects ends its upstream request, and nothing keeps running', async () => {
    upstream.rescript({ kind: 'hang' })
    const index = upstream.requests.length
    const socket = await openRequest(
      router.url,
      '/v1/chat/completions',
      { model: 'one', messages, stream: true },
      'leaver',
    )
    await once(socket, 'data')
    const logged = router.requestLogged('leaver')
    socket.destroy()
    await upstream.requestClosed(index)
    assert.equal((await logged).outcome, 'client_gone')
  })

  test('a client that stops reading is sent nothing more', async () => {
    // More than any socket buffer holds.
    const pieces = Array.from({ length: 400 }, () => openaiChunk({ content: 'x'.repeat(50_000) }))
    upstream.rescript({ kind: 'stream', pieces: [...pieces, openaiChunk({}, 'stop'), openaiDone] })
    const index = upstream.requests.length
    const socket = await openRequest(
      router.url,
      '/v1/chat/completions',
      { model: 'one', messages, stream: true },
      'sleeper',
    )
    socket.pause()
    await silencePasses(10)
    const received: Buffer[] = []
    socket.on('data', (bytes: Buffer) => received.push(bytes))
    socket.resume()
    await upstream.requestClosed(index)
    while (!Buffer.concat(received.slice(-4)).includes('[DONE]')) await once(socket, 'data')
    const text = Buffer.concat(received).toString('latin1')
    socket.destroy()
    assert.equal(text.split('x'.repeat(1000)).length > 400, true)
    assert.ok(text.split(comment).length < 6, 'the keep-alives are its own')
  })
})

describe('while a request is queued', () => {
  const path = '/v1/chat/completions'
  const body = { model: 'one', messages, stream: true }

  test('keep-alives are sent, and the answer comes in its turn', async () => {
    const { promise: free, resolve: release } = Promise.withResolvers<void>()
    upstream.rescript([
      { kind: 'stream', pieces: [openaiChunk({ content: 'first' }), free, openaiDone] },
      openaiStream(['mine']),
    ])
    const first = await openRequest(router.url, path, body, 'first')
    await once(first, 'data')
    const index = upstream.requests.length
    const queued = new Watched()
    const silences = queued.silences()
    const answered = queued.ask(path, body)
    for (let count = 0; count < 3; count++) await silences.next()
    assert.equal(upstream.requests.length, index, 'it waits')
    release()
    assert.match(await answered, /mine(?:.|\n)*\[DONE\]\n\n: llm-router target=one%20box lost=\n\n$/)
    first.destroy()
  })

  test('a client that disconnects frees its slot, and one that times out gets the error in its stream', async () => {
    upstream.rescript({ kind: 'hang' })
    const index = upstream.requests.length
    const first = await openRequest(router.url, path, body, 'first-of-three')
    await upstream.requestReceived(index)
    const second = await openRequest(router.url, path, body, 'second-of-three')
    await once(second, 'data')
    const logged = router.requestLogged('second-of-three')
    second.destroy()
    assert.equal((await logged).outcome, 'client_gone')
    const third = await new Watched().ask(path, body)
    assert.match(third, /^(?:: keep-alive\n\n)+data: \{"error":.*queue_timeout.*\}\n\n$/)
    first.destroy()
  })
})

test('an open stream gets an error event when the process shuts down', async () => {
  upstream.rescript({ kind: 'hang' })
  const other = await startRouter({
    env: { LLM_ROUTER_STREAM_KEEPALIVE: '0.05', LLM_ROUTER_DRAIN_TIMEOUT: '0.2' },
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
  })
  const response = await fetch(`${other.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'one', messages, stream: true }),
  })
  const closed = other.close()
  assert.match(
    await response.text(),
    /^(?:: keep-alive\n\n)+data: \{"error":.*shutting_down.*\}\n\n: llm-router target=one lost=\n\n$/,
  )
  await closed
})

test('a text endpoint sends keep-alives between results, and reports an error as an event', async () => {
  const client = new Watched()
  const silences = client.silences()
  upstream.rescript(async () => {
    await silences.next()
    return openaiText('simple')
  })
  const body = { model_name: 'one', texts: ['one text', 'another text'] }
  const text = await client.ask('/api/simplify_text', body)
  assert.ok(text.startsWith(comment), text)
  assert.match(text, /"done":true.*\n\n: llm-router target=one%20box lost=\S*\n\n$/)
  const failed = new Watched()
  const waits = failed.silences()
  upstream.rescript(async () => {
    await waits.next()
    return openaiError(400, { message: 'no such thing' })
  })
  assert.match(await failed.ask('/api/simplify_text', body), /^(?:: keep-alive\n\n)+data: \{"error":/)
  assert.equal(failed.status, 200)
})

describe('official clients on streams with keep-alives', () => {
  function slowly(watched: Watched): void {
    const pieces = [
      openaiChunk({ role: 'assistant', content: 'a' }),
      openaiChunk({ content: 'b' }),
      openaiChunk({}, 'stop'),
    ]
    upstream.rescript({ kind: 'stream', pieces: between([...pieces, openaiDone], watched.silences()) })
  }
  function failing(watched: Watched): void {
    const silences = watched.silences()
    upstream.rescript(async () => {
      await silences.next()
      return openaiError(400, { message: 'no such thing' })
    })
  }
  /** A fresh client of a kind, which may wait for its keep-alives. */
  function clientOf<T>(script: (watched: Watched) => void, make: (given: typeof fetch) => T): T {
    const watched = new Watched()
    script(watched)
    return make(watched.fetch)
  }
  const openai = (given: typeof fetch) =>
    new OpenAI({ apiKey: 'x', baseURL: `${router.url}/v1`, maxRetries: 0, fetch: given })
  const anthropic = (given: typeof fetch) =>
    new Anthropic({ apiKey: 'x', baseURL: router.url, maxRetries: 0, fetch: given })

  test('the openai client reads streams with keep-alives, and errors after them', async () => {
    const runner = clientOf(slowly, openai).chat.completions.stream({ model: 'one', messages })
    assert.equal(await runner.finalContent(), 'ab')
    const responses = clientOf(slowly, openai).responses.stream({ model: 'one', input: 'hi' })
    assert.equal((await responses.finalResponse()).output_text, 'ab')
    const failed = await clientOf(failing, openai).chat.completions.create({
      model: 'one',
      messages,
      stream: true,
    })
    await assert.rejects(async () => {
      for await (const _ of failed);
    }, /no such thing/)
    const types: string[] = []
    const events = await clientOf(failing, openai).responses.create({
      model: 'one',
      input: 'hi',
      stream: true,
    })
    for await (const event of events) types.push(event.type)
    assert.equal(types.at(-1), 'response.failed')
  })

  test('the anthropic client reads streams with keep-alives, and errors after them', async () => {
    const body = { model: 'one', messages, max_tokens: 9 }
    assert.equal(await clientOf(slowly, anthropic).messages.stream(body).finalText(), 'ab')
    await assert.rejects(clientOf(failing, anthropic).messages.stream(body).finalText(), /no such thing/)
  })

  for (const [name, modelOf] of [
    [
      'openai chat',
      (given: typeof fetch) =>
        createOpenAI({ apiKey: 'x', baseURL: `${router.url}/v1`, fetch: given }).chat('one'),
    ],
    [
      'openai responses',
      (given: typeof fetch) =>
        createOpenAI({ apiKey: 'x', baseURL: `${router.url}/v1`, fetch: given }).responses('one'),
    ],
    [
      'anthropic',
      (given: typeof fetch) =>
        createAnthropic({ apiKey: 'x', baseURL: `${router.url}/v1`, fetch: given })('one'),
    ],
  ] as const) {
    test(`the ai client (${name}) reads streams with keep-alives, and errors after them`, async () => {
      const result = streamText({ model: clientOf(slowly, modelOf), messages, maxRetries: 0 })
      assert.equal(await result.text, 'ab')
      const errors: unknown[] = []
      const model = clientOf(failing, modelOf)
      const failed = streamText({
        model,
        messages,
        maxRetries: 0,
        onError: ({ error }) => void errors.push(error),
      })
      await failed.consumeStream()
      assert.equal(errors.length, 1)
    })
  }
})
