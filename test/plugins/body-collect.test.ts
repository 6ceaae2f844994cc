import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { collectBody } from '../../src/plugins/body/index.ts'
import { RouterError } from '../../src/sdk/errors.ts'

interface Given {
  announced?: number
  limit?: number
}

/** The result for a body that arrives in these chunks; `end`: how the stream ends. */
function collected(
  chunks: readonly string[],
  { announced, limit = 1_000_000 }: Given = {},
  end: (payload: PassThrough) => void = (payload) => payload.end(),
): Promise<Buffer | Error> {
  const payload = new PassThrough()
  return new Promise((resolve) => {
    collectBody(payload, { announced, limit }, resolve)
    for (const chunk of chunks) payload.write(chunk)
    end(payload)
  })
}

test('a body is assembled from its chunks, with or without a known length', async () => {
  const chunks = ['{"a":', '"ż', `${'x'.repeat(200_000)}"}`]
  const whole = Buffer.from(chunks.join(''))
  assert.deepEqual(await collected(chunks, { announced: whole.length }), whole)
  assert.deepEqual(await collected(chunks), whole)
  assert.deepEqual(await collected([], { announced: 0 }), Buffer.alloc(0))
})

test('a body over the limit is rejected by its announced length, or at the first byte over the limit', async () => {
  for (const refused of [
    await collected([], { announced: 11, limit: 10 }),
    await collected(['12345', '67890', 'x'], { limit: 10 }, () => undefined),
  ]) {
    assert.ok(refused instanceof RouterError)
    assert.equal(refused.kind, 'too_large')
  }
})

test('a body that is shorter or longer than announced is rejected', async () => {
  for (const chunks of [['123'], ['123', '456']]) {
    const refused = await collected(chunks, { announced: 4 })
    assert.ok(refused instanceof RouterError)
    assert.equal(refused.kind, 'bad_request')
  }
})

test('an interrupted body yields the error of its stream', async () => {
  const broken = new Error('gone')
  assert.equal(await collected(['1'], { announced: 4 }, (payload) => payload.destroy(broken)), broken)
})

test('a body that was rejected may still break off', async () => {
  let sent: PassThrough | undefined
  const refused = await collected(['12345'], { limit: 4 }, (payload) => {
    sent = payload
  })
  assert.ok(refused instanceof RouterError && refused.kind === 'too_large')
  assert.ok(sent)
  const stream = sent
  // Not the `once` of node:events, which would handle the error itself.
  const closed = new Promise((resolve) => stream.on('close', resolve))
  stream.destroy(new Error('no room'))
  await closed
})
