import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { eventually } from '../helpers/eventually.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { repeats } from '../helpers/repeats.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  ollamaDone,
  ollamaLine,
  openaiChunk,
  openaiDone,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const clients = repeats(400, 10_000)
const seed = 20261123
const random = seededRandom(seed)
const aWhile = (ms: number) => new Promise((resolve) => setTimeout(resolve, random() * ms))

let openaiServer: ScriptedUpstream
let ollamaServer: ScriptedUpstream
let router: TestRouter

before(async () => {
  // Answers that take a random time at every step, so that clients disconnect at every stage of them.
  openaiServer = await startUpstream(async (request) => {
    await aWhile(8)
    const streams = (request.body as { stream?: boolean }).stream === true
    if (!streams) return openaiText('Hi')
    return {
      kind: 'stream',
      pieces: [
        aWhile(4),
        openaiChunk({ content: 'Hi' }),
        aWhile(4),
        openaiChunk({}, 'stop'),
        aWhile(2),
        openaiDone,
      ],
    }
  })
  ollamaServer = await startUpstream(async () => {
    await aWhile(8)
    return {
      kind: 'stream',
      headers: { 'content-type': 'application/x-ndjson' },
      pieces: [ollamaLine({ content: 'Hi' }), aWhile(4), ollamaDone()],
    }
  })
  router = await startRouter({
    env: { LLM_ROUTER_LOG_LEVEL: 'info' },
    models: modelsConfig({
      both: [
        { id: 'vllm', api_type: 'vllm', api_host: openaiServer.url },
        { id: 'ollama', api_type: 'ollama', api_host: ollamaServer.url },
      ],
    }),
  })
})
after(async () => {
  await router.close()
  await openaiServer.close()
  await ollamaServer.close()
})

/** Sends a whole or partial request and disconnects at a random moment, by FIN or RST; one in five stays to the end. */
async function client(index: number): Promise<void> {
  const { hostname, port } = new URL(router.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined) // our own reset, seen from our side
  const closed = once(socket, 'close')
  await once(socket, 'connect')
  const path = index % 2 === 0 ? '/v1/chat/completions' : '/api/chat'
  const body = JSON.stringify({
    model: 'both',
    stream: index % 3 !== 0,
    messages: [{ role: 'user', content: 'x'.repeat(100) }],
  })
  const text = `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  socket.resume()
  if (random() < 0.2) {
    socket.write(text)
    await closed
    return
  }
  socket.write(random() < 0.1 ? text.slice(0, Math.floor(random() * text.length)) : text)
  await aWhile(30)
  if (random() < 0.5) socket.destroy()
  else socket.resetAndDestroy()
  await closed
}

test(`${clients} clients that disconnect at random moments leak nothing (seed ${seed})`, async () => {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < clients) await client(next++)
  }
  await Promise.all(Array.from({ length: 64 }, worker))

  const model = router.app.models.find('both')
  assert.ok(model)
  const inFlight = (): number =>
    router.app.balancer.signals(model).reduce((sum, signals) => sum + signals.inFlight, 0)
  // Every request that reached the router ends in one log line; the last ones may not have been written yet.
  await eventually(() => inFlight() + openaiServer.openRequests + ollamaServer.openRequests === 0)
  const lines = router.logs.filter(({ msg }) => msg === 'request')
  const ids = new Set(lines.map((line) => line.request_id))
  assert.equal(ids.size, lines.length, 'one line each')
  const outcomes = new Set(lines.map((line) => line.outcome))
  assert.ok(outcomes.has('client_gone') && outcomes.has('success'), [...outcomes].join())
  assert.ok(
    lines.every(
      (line) => line.outcome === 'client_gone' || line.outcome === 'success' || line.status === 400,
    ),
  )
  assert.deepEqual(
    router.logs.filter(({ level }) => Number(level) >= 50),
    [],
    'no internal error was logged',
  )
})
