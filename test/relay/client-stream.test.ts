import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { type ClientStream, createClientStream } from '../../src/relay/answer/client-stream.ts'

async function serve(t: TestContext, answer: (client: ClientStream) => void): Promise<number> {
  const server: Server = createServer((_request, response: ServerResponse) => {
    const options = { mediaType: 'text/event-stream', headers: () => ({}), onCommit: () => undefined }
    const client = createClientStream(response, { ...options, onWrite: () => undefined })
    client.commit()
    answer(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port // it listens on a port
}

/** All bytes that the server sends on one connection. */
async function wire(port: number, requests: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.end(requests)
  return await text(socket)
}

const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4)

test('each write is one chunk of the chunked encoding, sized in bytes', async (t) => {
  const port = await serve(t, (client) => {
    client.write(Buffer.from('data: bytes\n\n'))
    client.write('data: text\n\n')
    client.write('data: \u00e9\u20ac\u{1f600}\n\n')
    client.end()
  })
  const answer = await wire(port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  assert.match(answer, /^transfer-encoding: chunked\r$/im)
  const frames = [
    'd\r\ndata: bytes\n\n',
    'c\r\ndata: text\n\n',
    '11\r\ndata: \u00e9\u20ac\u{1f600}\n\n',
    '0\r\n',
  ]
  assert.equal(bodyOf(answer), `${frames.join('\r\n')}\r\n`)
})

test('an empty write does not end the body', async (t) => {
  const port = await serve(t, (client) => {
    client.write('')
    client.write(Buffer.alloc(0))
    client.write('x')
    client.end()
  })
  const answer = await wire(port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  assert.equal(bodyOf(answer), '1\r\nx\r\n0\r\n\r\n')
})

test('an HTTP/1.0 client, which does not support chunked encoding, gets the plain body', async (t) => {
  const port = await serve(t, (client) => {
    client.write(Buffer.from('one'))
    client.write('two')
    client.end()
  })
  const answer = await wire(port, 'GET / HTTP/1.0\r\n\r\n')
  assert.doesNotMatch(answer, /transfer-encoding/i)
  assert.equal(bodyOf(answer), 'onetwo')
})

test('what was written before an answer broke off reaches the client', async (t) => {
  const port = await serve(t, (client) => {
    client.write('x')
    client.write('y')
    client.reset()
  })
  const answer = await wire(port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  assert.equal(bodyOf(answer), '1\r\nx\r\n1\r\ny\r\n')
})

test('the connection serves the next request after a stream', async (t) => {
  const port = await serve(t, (client) => {
    client.write('x')
    client.end()
  })
  const request = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'
  const last = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'
  const answers = await wire(port, request + request + last)
  assert.equal(answers.split('1\r\nx\r\n0\r\n\r\n').length - 1, 3)
  assert.equal(answers.split('HTTP/1.1 200 OK').length - 1, 3)
})

for (const bytes of [4_000, 16_384, 16_385, 3_000_000]) {
  test(`a write of ${bytes} bytes arrives whole`, async (t) => {
    const sent = Buffer.alloc(bytes, 'abcdefg')
    const port = await serve(t, (client) => {
      client.write(sent)
      client.write(sent.toString())
      client.end()
    })
    const [response] = await once(get({ port, host: '127.0.0.1', agent: false }), 'response')
    const received = await text(response)
    assert.equal(received.length, 2 * bytes)
    assert.ok(received === sent.toString().repeat(2))
  })
}

test('a write to a client that reads nothing signals backpressure until the drain event', async (t) => {
  const drained = Promise.withResolvers<void>()
  const paused = Promise.withResolvers<void>()
  const port = await serve(t, (client) => {
    const flood = (): void => {
      while (client.write(Buffer.alloc(64 * 1024, 'x')));
      client.onDrain(() => {
        drained.resolve()
        client.end()
      })
      paused.resolve()
    }
    flood()
  })
  const socket = connect(port, '127.0.0.1')
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  await paused.promise
  socket.resume()
  await drained.promise
  await once(socket, 'end')
})
