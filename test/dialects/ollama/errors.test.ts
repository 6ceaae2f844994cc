import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ollama } from '../../../src/dialects/ollama/index.ts'
import { modelNotFound, streamTruncated } from '../../../src/sdk/errors.ts'

const options = { ownPath: true, debug: false, requestId: 'r' }

test('an error is an object with a message and nothing else', () => {
  const error = modelNotFound('x')
  assert.deepEqual(ollama.writeError(error, options), { error: "The model 'x' does not exist" })
  assert.equal(ollama.errorStatus(error), 404)
})

test('the code of the cause is included in debug mode only, beside the message', () => {
  const error = streamTruncated()
  assert.deepEqual(ollama.writeError(error, { ...options, debug: true }), {
    error: 'Upstream closed the stream before it was complete',
    debug: { cause: 'TRUNCATED' },
  })
  assert.equal('debug' in ollama.writeError(modelNotFound('x'), { ...options, debug: true }), false)
})

test('an error in a stream is a single line', () => {
  assert.equal(
    ollama.writeStreamError(streamTruncated(), options),
    '{"error":"Upstream closed the stream before it was complete"}\n',
  )
  assert.equal(ollama.streamMediaType, 'application/x-ndjson')
})
