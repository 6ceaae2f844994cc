import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatClient, ClientStream } from '../../src/relay/answer/client-stream.ts'
import { deferredClient } from '../../src/relay/answer/deferred-client.ts'

/** A client that records what it receives. */
function notingClient(): { client: ChatClient; got: string[] } {
  const got: string[] = []
  const stream: ClientStream = {
    committed: true,
    commit: () => undefined,
    write: (bytes) => got.push(String(bytes)) < 0,
    onDrain: () => undefined,
    end: () => got.push('end'),
    reset: () => got.push('broken off'),
  }
  const client: ChatClient = {
    stream: () => stream,
    large: () => stream,
    whole: (body) => got.push(String(body)),
    writeError: () => '',
  }
  return { client, got }
}

test('a stream flows until there is something to wait for, and its end stays in order behind that', async () => {
  const { client, got } = notingClient()
  let pending: Promise<void> | undefined
  const { promise, resolve } = Promise.withResolvers<void>()
  const stream = deferredClient(client, () => pending).stream()
  assert.equal(stream.write('a'), false, 'backpressure as reported by the client itself')
  pending = promise
  assert.equal(stream.write('b'), true)
  stream.write('c')
  stream.end()
  assert.deepEqual(got, ['a'])
  resolve()
  await promise
  await new Promise(setImmediate)
  assert.deepEqual(got, ['a', 'b', 'c', 'end'])
})

test('a stream that waits for nothing ends immediately', () => {
  const { client, got } = notingClient()
  const stream = deferredClient(client, () => undefined).stream()
  stream.write('a')
  stream.end()
  assert.deepEqual(got, ['a', 'end'])
})

test('a whole answer is deferred too', async () => {
  const { client, got } = notingClient()
  const { promise, resolve } = Promise.withResolvers<void>()
  deferredClient(client, () => promise).whole('answer')
  await new Promise(setImmediate)
  assert.deepEqual(got, [])
  resolve()
  await promise
  await new Promise(setImmediate)
  assert.deepEqual(got, ['answer'])
})
