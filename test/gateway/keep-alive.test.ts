import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import Anthropic from '@anthropic-ai/sdk'
import { streamText } from 'ai'
import OpenAI from 'openai'
import { anthropicEvent } from '../helpers/anthropic-answers.ts'
import { openRequest, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import {
  ollamaDone,
  ollamaLine,
  openaiChunk,
  openaiDone,
  openaiError,
  openaiStream,
  openaiText,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'
import { between, keepAliveRig } from './keep-alive-rig.ts'

// Otherwise the library writes its warnings to the console.
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })

const comment = ': keep-alive\n\n'
const ping = 'event: ping\ndata: {"type": "ping"}\n\n'

const rig = keepAliveRig()
const { silencePasses, Watched } = rig
type Watched = InstanceType<typeof Watched>

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
      rig.upstream.rescript({ kind: 'stream', pieces: between(pieces, client.silences()) })
      const text = await client.ask(path, body)
      assert.equal(client.status, 200)
      assert.ok(text.startsWith(sign), text.slice(0, 200))
      assert.ok(text.split(sign).length - 1 >= pieces.length, 'one before each piece')
      assert.ok(text.includes(end), text)
      assert.doesNotMatch(text, /event: (?:error|response\.failed)|"error":\{/)
      assert.match(text, /: llm-router target=\S+ lost=\S*\n\n$/)
    })
  }

  test('Ollama lines have no comments', async () => {
    rig.upstream.rescript({
      kind: 'stream',
      headers: { 'content-type': 'application/x-ndjson' },
      pieces: [silencePasses(4), ollamaLine({ content: 'a' }), ollamaDone()],
    })
    const lines = await post(`${rig.router.url}/api/chat`, { model: 'native', messages, stream: true })
    for (const line of lines.text.trimEnd().split('\n')) JSON.parse(line)
  })

  test('a stream that is never silent has no comments', async (t) => {
    // Not 50 ms, for which a busy machine may be silent.
    const router = await startRouter({
      env: { LLM_ROUTER_STREAM_KEEPALIVE: '10' },
      models: modelsConfig({ one: [{ api_type: 'vllm', api_host: rig.upstream.url }] }),
    })
    t.after(() => router.close())
    rig.upstream.rescript(openaiStream(['a', 'b']))
    const body = { model: 'one', messages, stream: true }
    const { text } = await post(`${router.url}/v1/chat/completions`, body)
    assert.match(text, /\[DONE\]/)
    assert.doesNotMatch(text, /^:/m)
  })

  test('a whole answer has no keep-alives', async () => {
    rig.upstream.rescript(async () => {
      await silencePasses(4)
      return openaiText('whole')
    })
    const { text } = await post(`${rig.router.url}/v1/chat/completions`, { model: 'one', messages })
    assert.equal(JSON.parse(text).choices[0].message.content, 'whole')
  })
})

test('no keep-alive is written inside an event that is sent in pieces', async () => {
  const long = openaiChunk({ content: 'x'.repeat(200_000) })
  rig.upstream.rescript({
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
  const { text } = await post(`${rig.router.url}/v1/chat/completions`, {
    model: 'one',
    messages,
    stream: true,
  })
  assert.ok(text.includes('x'.repeat(200_000)))
})

describe('while a request is queued', () => {
  const path = '/v1/chat/completions'
  const body = { model: 'one', messages, stream: true }

  test('keep-alives are sent, and the answer comes in its turn', async () => {
    const { promise: free, resolve: release } = Promise.withResolvers<void>()
    rig.upstream.rescript([
      { kind: 'stream', pieces: [openaiChunk({ content: 'first' }), free, openaiDone] },
      openaiStream(['mine']),
    ])
    const first = await openRequest(rig.router.url, path, body, 'first')
    await once(first, 'data')
    const index = rig.upstream.requests.length
    const queued = new Watched()
    const silences = queued.silences()
    const answered = queued.ask(path, body)
    for (let count = 0; count < 3; count++) await silences.next()
    assert.equal(rig.upstream.requests.length, index, 'it waits')
    release()
    assert.match(await answered, /mine(?:.|\n)*\[DONE\]\n\n: llm-router target=one%20box lost=\n\n$/)
    first.destroy()
  })

  test('a client that disconnects frees its slot, and one that times out gets the error in its stream', async () => {
    rig.upstream.rescript({ kind: 'hang' })
    const index = rig.upstream.requests.length
    const first = await openRequest(rig.router.url, path, body, 'first-of-three')
    await rig.upstream.requestReceived(index)
    const second = await openRequest(rig.router.url, path, body, 'second-of-three')
    await once(second, 'data')
    const logged = rig.router.requestLogged('second-of-three')
    second.destroy()
    assert.equal((await logged).outcome, 'client_gone')
    const third = await new Watched().ask(path, body)
    assert.match(third, /^(?:: keep-alive\n\n)+data: \{"error":.*queue_timeout.*\}\n\n$/)
    first.destroy()
  })
})

test('a text endpoint sends keep-alives between results, and reports an error as an event', async () => {
  const client = new Watched()
  const silences = client.silences()
  rig.upstream.rescript(async () => {
    await silences.next()
    return openaiText('simple')
  })
  const body = { model_name: 'one', texts: ['one text', 'another text'] }
  const text = await client.ask('/api/simplify_text', body)
  assert.ok(text.startsWith(comment), text)
  assert.match(text, /"done":true.*\n\n: llm-router target=one%20box lost=\S*\n\n$/)
  const failed = new Watched()
  const waits = failed.silences()
  rig.upstream.rescript(async () => {
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
    rig.upstream.rescript({ kind: 'stream', pieces: between([...pieces, openaiDone], watched.silences()) })
  }
  function failing(watched: Watched): void {
    const silences = watched.silences()
    rig.upstream.rescript(async () => {
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
    new OpenAI({ apiKey: 'x', baseURL: `${rig.router.url}/v1`, maxRetries: 0, fetch: given })
  const anthropic = (given: typeof fetch) =>
    new Anthropic({ apiKey: 'x', baseURL: rig.router.url, maxRetries: 0, fetch: given })

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
        createOpenAI({ apiKey: 'x', baseURL: `${rig.router.url}/v1`, fetch: given }).chat('one'),
    ],
    [
      'openai responses',
      (given: typeof fetch) =>
        createOpenAI({ apiKey: 'x', baseURL: `${rig.router.url}/v1`, fetch: given }).responses('one'),
    ],
    [
      'anthropic',
      (given: typeof fetch) =>
        createAnthropic({ apiKey: 'x', baseURL: `${rig.router.url}/v1`, fetch: given })('one'),
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
