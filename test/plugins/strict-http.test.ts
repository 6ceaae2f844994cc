import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import { deferWrite } from '../../src/lib/deferred-writes.ts'
import {
  connectionLimit,
  createHttpServer,
  defaultLimits,
  type HttpLimits,
} from '../../src/runtime/http-server.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { postBytes, RawClient, sendRaw } from '../helpers/raw-client.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const chat = { model: 'one', messages }

describe('requests that other HTTP servers may read differently', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('Hi'))
    router = await startRouter({
      models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  test('ambiguous requests are rejected in the dialect of their path, with a log line', async () => {
    const openai = await sendRaw(router.url, postBytes('/v1/chat/completions', chat, ['host: other']))
    assert.equal(openai.status, 400)
    assert.equal(JSON.parse(openai.body).error.type, 'invalid_request_error')
    const ollama = await sendRaw(router.url, postBytes('/api/chat', chat, ['host: other']))
    assert.equal(typeof JSON.parse(ollama.body).error, 'string')
    for (const answer of [openai, ollama]) {
      assert.ok(answer.closed)
      const line = await router.requestLogged(answer.headers['x-request-id'])
      assert.deepEqual([line.status, line.outcome], [400, 'client_error'])
    }
    assert.equal(upstream.requests.length, 0)
  })

  test('Host headers as clients write them are accepted', async () => {
    const hosts = ['a_b-c.example', 'EXAMPLE:8080', '127.0.0.1:1', '[::1]:8080', 'x:']
    for (const host of hosts) {
      const { status } = await sendRaw(router.url, `GET /v1/models HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
      assert.equal(status, 200, host)
    }
    assert.equal((await sendRaw(router.url, 'GET /v1/models HTTP/1.0\r\n\r\n')).status, 200)
  })

  test('100 Continue is sent once the size of the body has been checked, and not when it is rejected', async () => {
    const client = await RawClient.open(router.url)
    const whole = postBytes('/v1/chat/completions', chat, ['expect: 100-continue'])
    const headEnd = whole.indexOf('\r\n\r\n') + 4
    client.send(whole.slice(0, headEnd))
    assert.equal((await client.answer()).status, 100)
    client.send(whole.slice(headEnd))
    assert.equal((await client.answer()).status, 200)
    client.close()

    const tooLong = 'content-length: 1000000000000'
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n${tooLong}\r\nexpect: 100-continue\r\n\r\n`
    const refused = await sendRaw(router.url, head)
    assert.deepEqual([refused.status, refused.closed], [413, true])
    const nowhere = await sendRaw(router.url, head.replace('/v1/chat/completions', '/nowhere'))
    assert.deepEqual([nowhere.status, nowhere.closed], [404, true])
  })

  test('the body of a GET is not read as the next request', async () => {
    const client = await RawClient.open(router.url)
    const smuggled = 'GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n'
    client.send(`GET /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`)
    assert.equal((await client.answer()).status, 200)
    assert.equal(await client.rest(), '')
  })

  test('pipelined requests are answered in order', async () => {
    const client = await RawClient.open(router.url)
    const paths = Array.from({ length: 50 }, (_, index) => `/v1/models/none-${index}`)
    client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''))
    for (const path of paths) {
      assert.ok((await client.answer()).body.includes(`'${path.slice('/v1/models/'.length)}'`))
    }
    client.close()
  })
})

describe('data after a request on its connection', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(({ body }) =>
      Object(body).stream ? openaiStream(['Hi']) : openaiText('Hi'),
    )
    router = await startRouter({
      models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  const path = '/v1/chat/completions'
  const next = postBytes(path, chat)

  for (const [what, stream] of [
    ['whole', false],
    ['streamed', true],
  ] as const) {
    for (const [where, tail] of [
      ['another request', next],
      ['two more', next + next],
      ['no request', '\0no request\r\n\r\n'],
      ['an empty line', '\r\n'],
    ] as const)
      test(`is ignored after Connection: close: ${what}, ${where}`, async () => {
        const from = upstream.requests.length
        const client = await RawClient.open(router.url)
        client.send(postBytes(path, { ...chat, stream }, ['connection: close']) + tail)
        const answer = await client.answer()
        assert.deepEqual([answer.status, answer.headers.connection], [200, 'close'])
        assert.match(answer.body, stream ? /data: \[DONE\]/ : /"Hi"/)
        assert.equal(await client.rest(), '')
        assert.equal(upstream.requests.length, from + 1)
      })
  }

  test('is ignored after Connection: close when it arrives later, and in HTTP/1.0', async () => {
    const from = upstream.requests.length
    const client = await RawClient.open(router.url)
    client.send(postBytes(path, chat, ['connection: close']))
    await upstream.requestReceived(from)
    client.send(next)
    assert.equal((await client.answer()).status, 200)
    assert.equal(await client.rest(), '')
    const old = await RawClient.open(router.url)
    old.send(postBytes(path, chat).replace('HTTP/1.1', 'HTTP/1.0') + next)
    assert.equal((await old.answer()).status, 200)
    assert.equal(await old.rest(), '')
    assert.equal(upstream.requests.length, from + 2)
  })

  test('is rejected after the response to the request before it, not instead of it', async () => {
    for (const tail of [
      'no request\r\n\r\n',
      `POST ${path} HTTP/1.1\nhost: x\n\n`,
      `POST ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`,
    ]) {
      const from = upstream.requests.length
      const client = await RawClient.open(router.url)
      client.send(next + next + tail)
      for (const status of [200, 200, 400]) assert.equal((await client.answer()).status, status, tail)
      assert.equal(await client.rest(), '')
      assert.equal(upstream.requests.length, from + 2)
    }
  })
})

test('a line of a request head that ends with a bare LF is rejected', async (t) => {
  const router = await startRouter({ models: modelsConfig({}) })
  t.after(() => router.close())
  const lines = ['GET /v1/models HTTP/1.1', 'host: x', 'accept: */*', '', '']
  const forms = lines
    .slice(1)
    .map((_, index) => [...lines.keys()].map((at) => (at === index ? '\n' : '\r\n')))
  forms.push(lines.map(() => '\n'))
  for (const ends of forms) {
    const head = lines
      .flatMap((line, index) => (index < lines.length - 1 ? [line, ends[index]] : [line]))
      .join('')
    const answer = await sendRaw(router.url, head)
    assert.deepEqual([answer.status, answer.closed], [400, true], JSON.stringify(head))
  }
  assert.equal((await sendRaw(router.url, lines.join('\r\n'))).status, 200)
})

const quick: HttpLimits = {
  ...defaultLimits,
  checkIntervalMs: 20,
  writeStallMs: 0,
  maxConnections: undefined,
}

describe('limits of a connection', () => {
  async function start(t: TestContext, handler: RequestListener, limits: Partial<HttpLimits>) {
    const refused: string[] = []
    const server = createHttpServer(handler, { ...quick, ...limits }, (code) => refused.push(code))
    t.after(() => {
      server.close()
      server.closeAllConnections()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo // it listens on a port
    return { url: `http://127.0.0.1:${port}`, refused, server }
  }
  /** Fulfilled when the server's end of the next connection is closed. */
  const nextConnectionClosed = (server: Server): Promise<void> =>
    new Promise((resolve) => server.once('connection', (socket) => socket.once('close', () => resolve())))
  const nobody: RequestListener = () => assert.fail('there was no request')

  test('a finished response reaches a client whose next bytes are not a request', async (t) => {
    const { url } = await start(
      t,
      (_request, response) => {
        response.writeHead(200, { 'content-length': '2' })
        deferWrite(() => response.end('ok'))
      },
      {},
    )
    const { status, body } = await sendRaw(url, 'GET / HTTP/1.1\r\nhost: x\r\n\r\nno request\r\n\r\n')
    assert.deepEqual([status, body], [200, 'ok'])
  })

  test('a client that sends nothing, or never completes its headers, gets 408', async (t) => {
    const { url, refused } = await start(t, nobody, { headersTimeoutMs: 100 })
    for (const bytes of ['', 'GET / HTTP/1.1\r\nhost: x\r\na']) {
      const answer = await sendRaw(url, bytes)
      assert.deepEqual([answer.status, answer.closed], [408, true])
      assert.equal(answer.headers['content-type'], 'application/json')
      assert.equal(JSON.parse(answer.body).error.message, 'Request Timeout')
    }
    assert.deepEqual(refused, ['ERR_HTTP_REQUEST_TIMEOUT', 'ERR_HTTP_REQUEST_TIMEOUT'])
  })

  test('a client that never completes its body gets 408', async (t) => {
    const { url } = await start(t, (request) => request.resume(), {
      headersTimeoutMs: 100,
      requestTimeoutMs: 200,
    })
    const answer = await sendRaw(url, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n123')
    assert.deepEqual([answer.status, answer.closed], [408, true])
  })

  test('a client that reads nothing of its response is disconnected, one that waits for it is not', async (t) => {
    // Far more than the kernel buffers hold.
    const answerBytes = 64 * 1024 * 1024
    const answering = Promise.withResolvers<() => void>()
    const { url, server } = await start(
      t,
      (request, response) => {
        if (request.url === '/silent') answering.resolve(() => response.end('late'))
        else response.end(Buffer.alloc(answerBytes))
      },
      { writeStallMs: 150 },
    )
    const patient = await RawClient.open(url)
    patient.send('GET /silent HTTP/1.1\r\nhost: x\r\n\r\n')
    const answer = await answering.promise

    const cutOff = nextConnectionClosed(server)
    const stalled = await RawClient.open(url)
    stalled.socket.pause()
    stalled.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    await cutOff
    stalled.socket.resume()
    const { length } = await stalled.rest()
    assert.ok(length < answerBytes, `${length} bytes`)

    answer()
    assert.equal((await patient.answer()).body, 'late')
    patient.close()
  })

  test('a client is also disconnected if it does not read a later response', async (t) => {
    const answerBytes = 64 * 1024 * 1024
    const { url, server } = await start(
      t,
      (request, response) => response.end(request.url === '/small' ? 'ok' : Buffer.alloc(answerBytes)),
      { writeStallMs: 150 },
    )
    const cutOff = nextConnectionClosed(server)
    const client = await RawClient.open(url)
    for (let count = 0; count < 3; count++) {
      client.send('GET /small HTTP/1.1\r\nhost: x\r\n\r\n')
      assert.equal((await client.answer()).body, 'ok')
    }
    client.socket.pause()
    client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    await cutOff
    client.socket.resume()
    assert.ok((await client.rest()).length < answerBytes)
  })

  test('an idle kept-alive connection is closed after its timeout', async (t) => {
    const { url, server } = await start(t, (_request, response) => response.end('ok'), {
      keepAliveTimeoutMs: 50,
      writeStallMs: 10_000,
    })
    server.keepAliveTimeoutBuffer = 0
    const client = await RawClient.open(url)
    client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    assert.equal((await client.answer()).status, 200)
    assert.equal(await client.rest(), '')
  })

  test('more pipelined requests than allowed close the connection', async (t) => {
    let handled = 0
    const { url, refused } = await start(t, () => handled++, { maxPipelined: 3 })
    const client = await RawClient.open(url)
    client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(5))
    assert.equal(await client.rest(), '')
    assert.equal(handled, 1, 'the others wait for the first')
    assert.equal(refused[0], 'PIPELINING')
  })

  test('no second response follows one that has started when garbage arrives', async (t) => {
    const { url } = await start(t, (_request, response) => response.write('part'), {})
    const client = await RawClient.open(url)
    client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    await once(client.socket, 'data')
    client.send('\0garbage\r\n\r\n')
    assert.doesNotMatch(await client.rest(), /400/)
  })

  test('CONNECT is rejected after the response to the request before it', async (t) => {
    const responses: ServerResponse[] = []
    const { url, server } = await start(t, (_request, response) => responses.push(response), {})
    const client = await RawClient.open(url)
    const isRejected = once(server, 'connect')
    client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\nCONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n')
    await isRejected
    responses[0]?.end('ok')
    assert.equal((await client.answer()).body, 'ok')
    assert.equal((await client.answer()).status, 405)
    assert.equal(await client.rest(), '')
  })

  test('a client that resets its connection after CONNECT affects no one else', async (t) => {
    const { url } = await start(t, (_request, response) => response.end('ok'), {})
    // The reset has to arrive between the reading of the request and the response to it.
    for (let count = 0; count < 100; count++) {
      const client = await RawClient.open(url)
      client.socket.write('CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n', () => client.socket.resetAndDestroy())
      await client.rest()
    }
    assert.equal((await sendRaw(url, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).status, 200)
  })

  test('connections over the limit are closed, and new ones are accepted once others have ended', async (t) => {
    const { url, refused, server } = await start(t, (_request, response) => response.end('ok'), {
      maxConnections: 1,
    })
    const gone = nextConnectionClosed(server)
    const first = await RawClient.open(url)
    first.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    assert.equal((await first.answer()).status, 200)
    const second = await RawClient.open(url)
    assert.equal(await second.rest(), '')
    assert.deepEqual(refused, ['MAX_CONNECTIONS'])
    first.close()
    await gone
    assert.equal((await sendRaw(url, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).status, 200)
  })

  test('the limit of connections leaves file descriptors for upstreams', () => {
    const limit = connectionLimit()
    if (process.platform !== 'linux') assert.equal(limit, undefined)
    else assert.ok(limit && limit >= 1 && limit < 2 ** 31, String(limit))
  })
})

test('the production server has these limits', async (t) => {
  const router = await startRouter({ models: modelsConfig({}) })
  t.after(() => router.close())
  const { server } = router.app
  assert.ok(server instanceof createServer().constructor)
  assert.deepEqual(
    [server.headersTimeout, server.requestTimeout, server.keepAliveTimeout],
    [10_000, 120_000, 75_000],
  )
  assert.equal(server.maxConnections ?? undefined, connectionLimit())
})

test('LLM_ROUTER_WRITE_STALL_TIMEOUT disconnects a client that reads nothing of its response, and ends its request', async (t) => {
  const upstream = await startUpstream(openaiText('x'.repeat(12 * 1024 * 1024)))
  t.after(() => upstream.close())
  const router = await startRouter({
    models: modelsConfig({ one: [{ id: 'one', api_type: 'vllm', api_host: upstream.url }] }),
    env: { LLM_ROUTER_WRITE_STALL_TIMEOUT: '0.15' },
  })
  t.after(() => router.close())
  const client = await RawClient.open(router.url)
  client.socket.pause()
  client.send(postBytes('/v1/chat/completions', chat))
  assert.equal((await router.requestLogged()).outcome, 'client_gone')
  client.close()
})
