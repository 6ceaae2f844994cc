import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../helpers/eventually.ts'
import { chunk, head, type Step, startFaultUpstream, streamHead } from '../helpers/fault-upstream.ts'
import { openRequest } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { RawClient } from '../helpers/raw-client.ts'
import { repeats } from '../helpers/repeats.ts'
import { type RouterProcess, startRouterProcess } from '../helpers/router-process.ts'
import { openaiChunk, openaiDone } from '../helpers/scripted-upstream.ts'

const mebi = 1024 * 1024
/** Garbage may remain for a while before it is collected: growth below this is ignored. */
const slackMebi = 32
/** Six network reads of 64 KiB, and their garbage, are buffered between two sockets. A stream that is buffered has 32 MiB. */
const readerMebi = 2
/** `/ping` also waits for this test's own work, so it only distinguishes a blocked router from a working one. */
const blockedMs = 2_000

const finish = openaiChunk({}, 'stop') + openaiDone
const path = '/v1/chat/completions'
const ollamaPath = '/api/chat'
const question = (stream: boolean) => ({ model: 'big', stream, messages })

interface Received {
  status: number
  bytes: number
  lineEnds: number
  /** The last bytes, as a string. */
  tail: string
  /** Whether the response was terminated as HTTP requires. */
  whole: boolean
}

/** Reads a response as fast as it arrives and keeps nothing of it. */
async function receive(url: string, body: object): Promise<Received> {
  const sent = request(url, { method: 'POST', headers: { 'content-type': 'application/json' }, agent: false })
  sent.end(JSON.stringify(body))
  const [response] = (await once(sent, 'response')) as [IncomingMessage] // typed as the event is documented
  let bytes = 0
  let lineEnds = 0
  let last: Buffer = Buffer.alloc(0)
  response.on('data', (piece: Buffer) => {
    bytes += piece.length
    for (let at = piece.indexOf(10); at !== -1; at = piece.indexOf(10, at + 1)) lineEnds++
    last = piece.length >= 256 ? piece.subarray(-256) : Buffer.concat([last, piece]).subarray(-256)
  })
  response.on('error', () => undefined) // known from `complete`
  await once(response, 'close')
  const { statusCode = 0, complete } = response
  return { status: statusCode, bytes, lineEnds, tail: last.toString(), whole: complete }
}

/** The longest response time of `/ping` in milliseconds, asked every 20 ms until the work is done. */
async function longestPing(url: string, work: Promise<unknown>): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  let longest = 0
  let working = true
  const end = (): void => {
    working = false
  }
  work.then(end, end)
  while (working) {
    const from = performance.now()
    const asked = request(`${url}/ping`, { agent }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage] // typed as the event is documented
    response.resume()
    await once(response, 'end')
    longest = Math.max(longest, performance.now() - from)
    await pause(20)
  }
  agent.destroy()
  return longest
}

describe('memory', { concurrency: false }, () => {
  let router: RouterProcess
  let script: () => Iterable<Step>
  let upstream: Awaited<ReturnType<typeof startFaultUpstream>>
  let asked = 0

  before(async () => {
    upstream = await startFaultUpstream(() => script())
    router = await startRouterProcess({
      models: modelsConfig({ big: [{ id: 'big', api_type: 'vllm', api_host: upstream.url }] }),
    })
    // The code is compiled and the pools are filled before anything is measured.
    script = smallEvents(20_000)
    await ask(path, question(true))
    await ask(ollamaPath, question(true))
    script = largeEvents(64)
    await ask(path, question(true))
  })
  after(async () => {
    await router.stop()
    await upstream.close()
  })

  /** Runs the work after a fresh memory reading; growth must stay within the limit, and the router must not block. */
  async function bounded<T>(growthMebi: number, work: () => Promise<T>): Promise<T> {
    router.forgetPeak()
    const before = router.memoryBytes()
    const running = work()
    const [result, ping] = await Promise.all([running, longestPing(router.url, running)])
    const growth = (router.peakBytes() - before) / mebi
    assert.ok(growth <= growthMebi + slackMebi, `memory grew by ${growth.toFixed(1)} MiB`)
    assert.ok(ping < blockedMs, `the router was blocked for ${ping.toFixed(0)} ms`)
    return result
  }

  async function ask(url: string, body: object): Promise<Received> {
    asked++
    return receive(router.url + url, body)
  }

  /** Nothing is running any more, and each request has had its one log line. */
  async function assertQuiet(): Promise<Record<string, unknown>> {
    await upstream.idle()
    const lines = await router.requestsLogged(asked)
    assert.equal(lines.length, asked)
    assert.deepEqual(
      router.logs.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    )
    return lines.at(-1) ?? {}
  }

  const streamMebi = repeats(128, 1024)
  test(`a stream of ${streamMebi} MiB passes without being buffered`, async () => {
    script = largeEvents(streamMebi)
    const got = await bounded(32, () => ask(path, question(true)))
    assert.ok(got.whole && got.tail.endsWith(openaiDone), got.tail)
    assert.equal(got.lineEnds, 2 * (streamMebi * eventsPerMebi + 2))
    assert.equal((await assertQuiet()).outcome, 'success')
  })

  const eventCount = repeats(100_000, 1_000_000)
  for (const [lane, url, lineEnds] of [
    ['unchanged', path, 2 * (eventCount + 2)],
    ['translated', ollamaPath, eventCount + 1],
  ] as const) {
    test(`all of ${eventCount} small events arrive ${lane}`, async () => {
      script = smallEvents(eventCount)
      const got = await bounded(32, () => ask(url, question(true)))
      assert.ok(got.whole)
      assert.equal(got.lineEnds, lineEnds)
      assert.equal((await assertQuiet()).outcome, 'success')
    })
  }

  test('a line of 100 MiB passes if nothing in it has to be read', async () => {
    script = longLine
    const got = await bounded(24, () => ask(path, question(true)))
    assert.ok(got.whole && got.tail.endsWith(openaiDone), got.tail)
    assert.ok(got.bytes > 100 * mebi)
    assert.equal((await assertQuiet()).outcome, 'success')
  })

  test('a line of 100 MiB that has to be translated ends the answer with an error', async () => {
    script = longLine
    const got = await bounded(24, () => ask(ollamaPath, question(true)))
    assert.match(got.tail, /^\{"error":.*\}\n$/)
    assert.equal((await assertQuiet()).outcome, 'truncated')
  })

  test("a whole answer of 100 MiB is forwarded as it arrives, with the client's name of the model", async () => {
    script = hugeAnswer
    const got = await bounded(48, () => ask(path, question(false)))
    assert.deepEqual([got.status, got.whole], [200, true])
    assert.match(got.tail, /"model":"big"\}$/)
    assert.ok(got.bytes > 100 * mebi)
    assert.equal((await assertQuiet()).outcome, 'success')
  })

  // A `Buffer` for each of them would take 240 MiB.
  const byteCount = 600_000
  const oneByteChunks = '1\r\n \r\n'.repeat(byteCount)

  test('a body in chunks of one byte takes little more memory than its bytes', async () => {
    script = wholeAnswer('')
    const body = JSON.stringify(question(false))
    const client = await RawClient.open(router.url)
    const got = await bounded(16, async () => {
      client.send(`POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n`)
      client.send(`transfer-encoding: chunked\r\n\r\n${oneByteChunks}`)
      client.send(`${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`)
      return client.answer()
    })
    client.socket.destroy()
    asked++
    assert.equal(got.status, 200)
    assert.equal((await assertQuiet()).outcome, 'success')
  })

  test('a whole answer in chunks of one byte takes little more memory than its bytes', async () => {
    script = wholeAnswer(oneByteChunks)
    const got = await bounded(16, () => ask(path, question(false)))
    assert.deepEqual([got.status, got.whole], [200, true])
    assert.equal((await assertQuiet()).outcome, 'success')
  })

  test('an event in chunks of one byte takes little more memory than its bytes', async () => {
    script = function* () {
      yield streamHead
      yield chunk('data: ')
      yield oneByteChunks
      yield chunk(openaiChunk({ content: 'x' }).slice('data: '.length) + finish)
      yield chunk()
    }
    const got = await bounded(16, () => ask(ollamaPath, question(true)))
    assert.equal(got.lineEnds, 2)
    assert.equal((await assertQuiet()).outcome, 'success')
  })

  const readers = repeats(50, 500)
  test(`${readers} clients that stop reading pause their upstreams, and one that resumes gets the whole answer`, async () => {
    // More than the system may buffer for a connection that was fast before: 32 MiB and more here (tcp_rmem, tcp(7)).
    script = largeEvents(96)
    const sockets = await bounded(readers * readerMebi, async () => {
      const opened = []
      for (let index = 0; index < readers; index++) {
        const socket = await openRequest(router.url, path, question(true))
        socket.pause()
        opened.push(socket)
      }
      await eventually(() => upstream.busy === readers)
      await stillness(() => upstream.sentBytes)
      return opened
    })
    asked += readers
    assert.equal(upstream.busy, readers)
    const [first, ...others] = sockets
    assert.ok(first)
    for (const socket of others) socket.destroy()
    let tail = ''
    first.resume()
    first.on('data', (piece: Buffer) => {
      tail = (tail + piece.subarray(-256).toString()).slice(-256)
      if (tail.includes('0\r\n\r\n')) first.end()
    })
    await once(first, 'close')
    assert.match(tail, /\[DONE\]\n\n\r\n0\r\n\r\n$/)
    await assertQuiet()
    const outcomes = router.logs.slice(-readers).map(({ outcome }) => outcome)
    assert.equal(outcomes.filter((outcome) => outcome === 'client_gone').length, readers - 1)
  })
})

/** Fulfilled once a number has not changed for half a second. */
async function stillness(read: () => number): Promise<void> {
  let same = 0
  for (let last = read(); same < 25; ) {
    await pause(20)
    const now = read()
    same = now === last ? same + 1 : 0
    last = now
  }
}

const eventsPerMebi = 64

/** A stream of this many MiB of text. */
function largeEvents(size: number): () => Iterable<Step> {
  const event = chunk(openaiChunk({ content: 'x'.repeat(mebi / eventsPerMebi) }))
  return function* () {
    yield streamHead
    for (let sent = 0; sent < size * eventsPerMebi; sent++) yield event
    yield chunk(finish)
    yield chunk()
  }
}

/** An answer after these chunks. */
function wholeAnswer(chunks: string): () => Iterable<Step> {
  const choice = { index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }
  return () => [
    head(['content-type: application/json', 'transfer-encoding: chunked']),
    chunks,
    chunk(JSON.stringify({ id: 'x', model: 'upstream-model', choices: [choice] })),
    chunk(),
  ]
}

/** In pieces of a hundred, as a busy engine's socket delivers them. */
function smallEvents(count: number): () => Iterable<Step> {
  const hundred = chunk(openaiChunk({ content: 'x' }).repeat(100))
  return function* () {
    yield streamHead
    for (let sent = 0; sent < count; sent += 100) yield hundred
    yield chunk(finish)
    yield chunk()
  }
}

function* longLine(): Iterable<Step> {
  const [before, behind] = openaiChunk({ content: '|' }).split('|') as [string, string] // one bar is in it
  const piece = chunk('x'.repeat(mebi))
  yield streamHead
  yield chunk(before)
  for (let sent = 0; sent < 100; sent++) yield piece
  yield chunk(behind + finish)
  yield chunk()
}

/** With a Content-Length, as servers send whole answers. */
function* hugeAnswer(): Iterable<Step> {
  const before = '{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"'
  const behind = '"},"finish_reason":"stop"}],"model":"upstream-model"}'
  const length = before.length + 100 * mebi + behind.length
  yield head(['content-type: application/json', `content-length: ${length}`])
  yield before
  const piece = Buffer.alloc(mebi, 'x')
  for (let sent = 0; sent < 100; sent++) yield piece
  yield behind
}
