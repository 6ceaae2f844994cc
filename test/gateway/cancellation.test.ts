import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { openRequest } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiChunk,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

let upstream: ScriptedUpstream
let router: TestRouter

before(async () => {
  upstream = await startUpstream(openaiText('unused'))
  router = await startRouter({
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
  })
})
after(async () => {
  await router.close()
  await upstream.close()
})

function inFlight(): number {
  const model = router.app.models.find('one')
  assert.ok(model)
  return router.app.balancer.signals(model).reduce((sum, signals) => sum + signals.inFlight, 0)
}

test('a client that disconnects before the headers stops the upstream and frees its lease', async () => {
  upstream.rescript({ kind: 'hang' })
  const index = upstream.requests.length
  const logged = router.requestLogged()
  const socket = await openRequest(router.url, '/v1/chat/completions', { model: 'one', messages })
  await upstream.requestReceived(index)
  assert.equal(inFlight(), 1)
  socket.destroy()
  await upstream.requestClosed(index)
  const line = await logged
  assert.deepEqual([line.outcome, line.status], ['client_gone', 499])
  assert.equal(inFlight(), 0)
})

test('a client that disconnects during a stream stops the upstream and frees its lease', async () => {
  upstream.rescript({ kind: 'stream', pieces: [openaiChunk({ content: 'Hi' })], ending: 'hang' })
  for (const path of ['/v1/chat/completions', '/api/chat']) {
    const index = upstream.requests.length
    const logged = router.requestLogged()
    const socket = await openRequest(router.url, path, { model: 'one', messages, stream: true })
    let text = ''
    while (!text.includes('Hi')) text += String((await once(socket, 'data'))[0])
    socket.destroy()
    await upstream.requestClosed(index)
    assert.equal((await logged).outcome, 'client_gone')
    assert.equal(inFlight(), 0)
  }
})

test('a client that stops reading pauses the upstream, and later reads to the end', async () => {
  const line = openaiChunk({ content: 'x'.repeat(64 * 1024) })
  const count = 1024
  const end = [openaiChunk({}, 'stop'), 'data: [DONE]\n\n']
  upstream.rescript({
    kind: 'stream',
    pieces: (function* () {
      for (let index = 0; index < count; index++) yield line
      yield* end
    })(),
  })
  const index = upstream.requests.length
  const socket = await openRequest(router.url, '/v1/chat/completions', {
    model: 'one',
    messages,
    stream: true,
  })
  await once(socket, 'data')
  socket.pause()
  const request = await upstream.requestReceived(index)
  // It has stopped when two consecutive readings find the same count; that it stops at all is the claim.
  let sent = -1
  while (sent !== request.sentBytes) {
    sent = request.sentBytes
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  assert.ok(sent < (count * line.length) / 2, `${sent} bytes were read from the upstream`)
  let tail = ''
  socket.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString('latin1')).slice(-200)
    if (tail.endsWith('\r\n0\r\n\r\n')) socket.end()
  })
  socket.resume()
  await once(socket, 'close')
  assert.match(tail, /\[DONE\]/)
  assert.ok(request.sentBytes >= count * line.length)
})
