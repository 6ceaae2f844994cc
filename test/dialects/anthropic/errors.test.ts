import assert from 'node:assert/strict'
import { it } from 'node:test'
import { anthropic } from '../../../src/dialects/anthropic/index.ts'
import { RouterError } from '../../../src/sdk/errors.ts'

const options = { ownPath: true, debug: false, requestId: 'req_1' }

function typeOf(kind: ConstructorParameters<typeof RouterError>[0]): unknown {
  return Reflect.get(Object(anthropic.writeError(new RouterError(kind, 'x'), options).error), 'type')
}

it('an error has Anthropic’s form, its type and the id of the request', () => {
  assert.deepEqual(anthropic.writeError(new RouterError('bad_request', 'No'), options), {
    type: 'error',
    error: { type: 'invalid_request_error', message: 'No' },
    request_id: 'req_1',
  })
})

it('error kinds have the types that Anthropic clients map to exceptions', () => {
  assert.equal(typeOf('auth'), 'authentication_error')
  assert.equal(typeOf('forbidden'), 'permission_error')
  assert.equal(typeOf('model_not_found'), 'not_found_error')
  assert.equal(typeOf('too_large'), 'request_too_large')
  assert.equal(typeOf('rate_limit'), 'rate_limit_error')
  assert.equal(typeOf('upstream_error'), 'api_error')
  assert.equal(typeOf('upstream_timeout'), 'timeout_error')
  assert.equal(typeOf('overloaded'), 'overloaded_error')
})

it('overload has the status 529, all other errors keep theirs', () => {
  assert.equal(anthropic.errorStatus(new RouterError('overloaded', 'x')), 529)
  assert.equal(anthropic.errorStatus(new RouterError('upstream_error', 'x')), 502)
  assert.equal(anthropic.errorStatus(new RouterError('bad_request', 'x', { status: 418 })), 418)
})

it('a prompt that is too long is rejected with the wording that agents look for', () => {
  const messageOf = (message: string) =>
    Reflect.get(
      Object(anthropic.writeError(new RouterError('context_overflow', message), options).error),
      'message',
    )
  assert.equal(messageOf('9 tokens are over 8'), 'prompt is too long: 9 tokens are over 8')
  assert.equal(
    messageOf('prompt is too long: 9 tokens > 8 maximum'),
    'prompt is too long: 9 tokens > 8 maximum',
  )
})

it('an error in a stream is a named event', () => {
  assert.equal(
    anthropic.writeStreamError(new RouterError('overloaded', 'Busy'), options),
    'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Busy"},"request_id":"req_1"}\n\n',
  )
})

it('the code of the cause is included in debug mode only', () => {
  const error = new RouterError('upstream_error', 'x', { causeCode: 'ECONNREFUSED' })
  assert.doesNotMatch(JSON.stringify(anthropic.writeError(error, options)), /ECONNREFUSED/)
  assert.match(JSON.stringify(anthropic.writeError(error, { ...options, debug: true })), /ECONNREFUSED/)
})
