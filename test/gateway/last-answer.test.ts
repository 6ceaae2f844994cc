import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'

let router: TestRouter

before(async () => {
  router = await startRouter({
    models: modelsConfig({ one: [{ api_type: 'vllm', api_host: 'http://127.0.0.1:1' }] }),
    env: { LLM_ROUTER_BODY_LIMIT: '10000' },
  })
})
after(() => router.close())

const piece = Buffer.alloc(256 * 1024, 'x')
/** More than a system buffers for a server that has stopped reading. */
const pieces = 64

/** A client that has sent its head and has been answered, but has read nothing yet. */
async function answered(path: string, lines: readonly string[]): Promise<Socket> {
  const { hostname, port } = new URL(router.url)
  const socket = connect(Number(port), hostname).on('error', () => undefined)
  const logged = router.requestLogged()
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${lines.join('\r\n')}\r\n\r\n`)
  await logged
  return socket
}

function send(socket: Socket, bytes: Uint8Array | string): Promise<boolean> {
  return new Promise((resolve) => socket.write(bytes, (error) => resolve(!error)))
}

for (const [path, type, status] of [
  ['/v1/chat/completions', 'application/json', 413],
  ['/v1/audio/transcriptions', 'text/plain', 413],
  ['/nowhere', 'application/json', 404],
] as const)
  test(`a client that reads only after sending its whole body still gets ${status} from ${path}`, async () => {
    const length = `content-length: ${pieces * piece.length}`
    const socket = await answered(path, [`content-type: ${type}`, length])
    for (let sent = 0; sent < pieces; sent++) assert.ok(await send(socket, piece), `broken after ${sent}`)
    const closed = once(socket, 'close')
    let text = ''
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString()
    })
    await closed
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.match(text, /"error"/)
  })

test('a client that keeps sending after its last response is disconnected', async () => {
  const lines = ['content-type: application/json', 'content-length: 1000000000000']
  const socket = await answered('/v1/chat/completions', lines)
  while (await send(socket, piece)) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.ok(socket.destroyed || socket.errored)
  socket.destroy()
})

test('what follows a rejected body on its connection is not handled', async () => {
  const body = 'x'.repeat(20_000)
  const socket = await answered('/v1/chat/completions', [
    'content-type: application/json',
    `content-length: ${body.length}`,
  ])
  const from = router.logs.length
  socket.write(`${body}GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n`)
  const closed = once(socket, 'close')
  let text = ''
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString()
  })
  await closed
  assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 413'])
  assert.deepEqual(router.logs.slice(from), [])
})
