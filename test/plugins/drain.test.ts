import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { openRequest } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter } from '../helpers/router.ts'
import { openaiChunk, openaiDone, startUpstream } from '../helpers/scripted-upstream.ts'

const body = { model: 'one', stream: true, messages }

test('during a drain a kept-alive client is served with Connection: close, and readiness fails', async (t) => {
  const router = await startRouter({
    env: { LLM_ROUTER_DRAIN_ACCEPT: '1' },
    models: modelsConfig({ one: [{ api_type: 'mock' }] }),
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => agent.destroy())
  const get = async (path: string) => {
    const call = request(router.url + path, { agent }).end()
    const [response] = await once(call, 'response')
    response.resume()
    await once(response, 'end')
    return response
  }
  assert.equal((await get('/readyz')).statusCode, 200)
  const closed = router.close()
  // The socket is kept alive, so its next response must come before the listener closes.
  const ready = await get('/readyz')
  assert.deepEqual([ready.statusCode, ready.headers.connection], [503, 'close'])
  await closed
})

test('running streams complete, however long the listener has been closed', async () => {
  const finish = Promise.withResolvers<void>()
  const upstream = await startUpstream({
    kind: 'stream',
    pieces: [openaiChunk({ content: 'Hi' }), finish.promise, openaiChunk({}, 'stop'), openaiDone],
  })
  const router = await startRouter({
    models: modelsConfig({ one: [{ api_type: 'vllm', api_host: upstream.url }] }),
  })
  const socket = await openRequest(router.url, '/v1/chat/completions', body)
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  while (!text.includes('Hi')) await once(socket, 'data')
  const closed = router.close()
  const ended = once(socket, 'close')
  await assert.rejects(fetch(`${router.url}/livez`), 'new connections are refused')
  finish.resolve()
  await ended
  await closed
  assert.match(text, /\[DONE\]/)
  await upstream.close()
})

test('at the drain timeout a stream ends with an error event, and its upstream request is cancelled', async () => {
  const upstream = await startUpstream({
    kind: 'stream',
    pieces: [openaiChunk({ content: 'Hi' })],
    ending: 'hang',
  })
  const router = await startRouter({
    env: { LLM_ROUTER_DRAIN_TIMEOUT: '0.2' },
    models: modelsConfig({ one: [{ api_type: 'vllm', api_host: upstream.url }] }),
  })
  const socket = await openRequest(router.url, '/v1/chat/completions', body)
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  while (!text.includes('Hi')) await once(socket, 'data')
  await router.close()
  await upstream.requestClosed(0)
  assert.match(text, /"code":"shutting_down"/)
  assert.doesNotMatch(text, /DONE/)
  await upstream.close()
})

test('a connection on which nothing was sent does not delay shutdown', async () => {
  const router = await startRouter({ models: modelsConfig({ one: [{ api_type: 'mock' }] }) })
  const accepted = once(router.app.server, 'connection')
  const socket = connect(Number(new URL(router.url).port), '127.0.0.1')
  await accepted
  const ended = once(socket, 'close')
  socket.on('error', () => undefined) // a reset closes it too
  await router.close()
  await ended
})

test('requests that arrive during a delay of the event loop are answered before the listener closes', async (t) => {
  const router = await startRouter({
    env: { LLM_ROUTER_DRAIN_ACCEPT: '0.05' },
    models: modelsConfig({ one: [{ api_type: 'mock' }] }),
  })
  const port = Number(new URL(router.url).port)
  const first = connect(port, '127.0.0.1') // without any connection, a router closes immediately
  t.after(() => first.destroy())
  await once(first, 'connect')
  const closed = router.close()
  await new Promise((resolve) => setImmediate(resolve))
  // On loopback the kernel establishes a connection within the call; the process has yet to accept it.
  const answers = Array.from({ length: 50 }, async () => {
    const call = request({ host: '127.0.0.1', port, path: '/livez', headers: { connection: 'close' } }).end()
    const [response] = await once(call, 'response')
    response.resume()
    return response.statusCode
  })
  await new Promise<void>((resolve) => process.nextTick(resolve))
  for (const end = performance.now() + 100; performance.now() < end; );
  assert.deepEqual(
    await Promise.all(answers),
    answers.map(() => 200),
  )
  await closed
})
