import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { seededRandom } from '../../bench/support/seeded-random.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouterProcess } from '../helpers/router-process.ts'

/*
 * Thirty clients that send HTTP requests of random, often invalid parts, and leave in every way that a socket can, beside one
 * good client, which has to get every answer. At the end, nothing of the others may be left.
 */

const clients = 30
/** How long the router keeps reading from a client that it has rejected, in milliseconds, and a second more. */
const settleMs = 6_000
/** Descriptors that may remain besides those before the first request, such as kept-alive connections of the good client. */
const maxFdsLeft = 10

type Random = () => number

const chat = JSON.stringify({ model: 'm', messages })
const streamed = JSON.stringify({ model: 'm', stream: true, messages })
const form = '--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--x--\r\n'

const methods = ['POST', 'POST', 'POST', 'GET', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE', 'PRI', 'post']
const targets = [
  '/v1/chat/completions',
  '/v1/messages',
  '/api/chat',
  '/v1/audio/transcriptions',
  '/v1/models',
  '/metrics',
  '*',
  'a:1',
  'http://a/v1/models',
  '/v1/../ui',
  '/%00',
  '/api/status/events',
  '',
]
const versions = ['1.1', '1.1', '1.1', '1.0', '2.0', '0.9']
const bodies = [chat, streamed, form, '', '{', 'x'.repeat(70_000)]
const types = ['application/json', 'multipart/form-data; boundary=x', 'text/plain']
const codings = ['chunked', 'chunked', 'gzip, chunked', 'identity', 'chunked, chunked']
const rareHeaders = [
  'host: b',
  'content-length: 5',
  'connection: close',
  'connection: upgrade\r\nupgrade: websocket',
  'expect: 100-continue',
  'expect: x',
  'x: a\r\n b',
  'no colon',
  'x\0: y',
  `x: ${'y'.repeat(17_000)}`,
]

function request(random: Random): string {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] ?? assert.fail()
  const body = pick(bodies)
  const isChunked = random() < 0.4
  const wrongBy = pick([0, 0, 0, 10, -3])
  const headers = [
    'host: a',
    `content-type: ${pick(types)}`,
    isChunked ? `transfer-encoding: ${pick(codings)}` : `content-length: ${body.length + wrongBy}`,
    ...(random() < 0.4 ? [pick(rareHeaders)] : []),
  ]
  const ending = pick(['0\r\n\r\n', '0\r\n\r\n', '0\r\nx: y\r\n\r\n', '', 'zz\r\n'])
  const sent = isChunked ? `${body.length.toString(16)}\r\n${body}\r\n${ending}` : body
  return `${pick(methods)} ${pick(targets)} HTTP/${pick(versions)}\r\n${headers.join('\r\n')}\r\n\r\n${sent}`
}

/** Sends up to four requests, perhaps not to their end, and leaves. */
async function misbehave(port: number, random: Random): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  // Not `once`, which rejects if the router resets the connection.
  const closed = new Promise((resolve) => socket.on('close', resolve))
  await Promise.race([new Promise((resolve) => socket.on('connect', resolve)), closed])
  const all = Array.from({ length: 1 + Math.floor(random() * 4) }, () => request(random)).join('')
  const bytes = Buffer.from(random() < 0.3 ? all.slice(0, random() * all.length) : all, 'latin1')
  if (random() < 0.7) socket.resume()
  const half = Math.floor(random() * bytes.length)
  socket.write(bytes.subarray(0, half))
  await pause(random() * 5)
  if (random() < 0.3) {
    // In the middle of what the router is about to answer.
    socket.write(bytes.subarray(half), () => socket.resetAndDestroy())
  } else {
    socket.write(bytes.subarray(half))
    if (random() < 0.5) socket.end()
    await Promise.race([closed, pause(random() * 60)])
    if (random() < 0.5) socket.resetAndDestroy()
    else socket.destroy()
  }
  await closed
}

/** Throws if the good client missed an answer, or the router kept anything of the others. */
export async function runRawHttp({ minutes, seed }: { minutes: number; seed: number }): Promise<void> {
  const random = seededRandom(seed)
  const router = await startRouterProcess({ models: modelsConfig({ m: [{ id: 'box', api_type: 'mock' }] }) })
  try {
    const openFiles = (): number => readdirSync(`/proc/${router.child.pid}/fd`).length
    const port = Number(new URL(router.url).port)
    const ask = (stream: boolean) =>
      post(`${router.url}/v1/chat/completions`, { model: 'm', stream, messages })
    await ask(false)
    const before = openFiles()
    const until = performance.now() + minutes * 60_000
    let [sent, answered] = [0, 0]
    const good = async (): Promise<void> => {
      while (performance.now() < until) {
        const { status, text } = await ask(answered % 2 === 0)
        assert.equal(status, 200, text)
        answered++
      }
    }
    const bad = async (): Promise<void> => {
      while (performance.now() < until) {
        await misbehave(port, random)
        sent++
      }
    }
    await Promise.all([good(), ...Array.from({ length: clients }, bad)])
    console.log({ misbehaved: sent, answered })
    await pause(settleMs)
    const status = JSON.parse((await (await fetch(`${router.url}/api/status`)).text()) || '{}')
    assert.equal(status.models[0].targets[0].in_flight, 0)
    assert.ok(openFiles() <= before + maxFdsLeft, `${openFiles()} open files, ${before} at the start`)
  } finally {
    await router.stop()
  }
}
