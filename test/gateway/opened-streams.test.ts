import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { openRequest } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiChunk, openaiDone, openaiError } from '../helpers/scripted-upstream.ts'
import { keepAliveRig } from './keep-alive-rig.ts'

const comment = ': keep-alive\n\n'
const _ping = 'event: ping\ndata: {"type": "ping"}\n\n'

const rig = keepAliveRig()
const { silencePasses, Watched } = rig

describe('after a stream was opened', () => {
  test('another target still takes over, and the last comment names it and the dropped fields', async () => {
    const client = new Watched()
    const silences = client.silences()
    rig.upstream.rescript(async () => {
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
      rig.upstream.rescript(async () => {
        await silences.next()
        return openaiError(400, { message: 'no such thing' })
      })
      const logged = rig.router.requestLogged()
      const text = await client.ask(path, { model: 'one', ...body })
      assert.equal(client.status, 200)
      assert.match(text, expected)
      assert.doesNotMatch(text, /\[DONE\]|message_stop/)
      assert.equal((await logged).outcome, 'truncated')
    })
  }

  test('a client that disconnects ends its upstream request, and nothing keeps running', async () => {
    rig.upstream.rescript({ kind: 'hang' })
    const index = rig.upstream.requests.length
    const socket = await openRequest(
      rig.router.url,
      '/v1/chat/completions',
      { model: 'one', messages, stream: true },
      'leaver',
    )
    await once(socket, 'data')
    const logged = rig.router.requestLogged('leaver')
    socket.destroy()
    await rig.upstream.requestClosed(index)
    assert.equal((await logged).outcome, 'client_gone')
  })

  test('a client that stops reading is sent nothing more', async () => {
    // More than any socket buffer holds.
    const pieces = Array.from({ length: 400 }, () => openaiChunk({ content: 'x'.repeat(50_000) }))
    rig.upstream.rescript({ kind: 'stream', pieces: [...pieces, openaiChunk({}, 'stop'), openaiDone] })
    const index = rig.upstream.requests.length
    const socket = await openRequest(
      rig.router.url,
      '/v1/chat/completions',
      { model: 'one', messages, stream: true },
      'sleeper',
    )
    socket.pause()
    await silencePasses(10)
    const received: Buffer[] = []
    socket.on('data', (bytes: Buffer) => received.push(bytes))
    socket.resume()
    await rig.upstream.requestClosed(index)
    while (!Buffer.concat(received.slice(-4)).includes('[DONE]')) await once(socket, 'data')
    const text = Buffer.concat(received).toString('latin1')
    socket.destroy()
    assert.equal(text.split('x'.repeat(1000)).length > 400, true)
    assert.ok(text.split(comment).length < 6, 'the keep-alives are its own')
  })
})

test('an open stream gets an error event when the process shuts down', async () => {
  rig.upstream.rescript({ kind: 'hang' })
  const other = await startRouter({
    env: { LLM_ROUTER_STREAM_KEEPALIVE: '0.05', LLM_ROUTER_DRAIN_TIMEOUT: '0.2' },
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: rig.upstream.url }] }),
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
