import assert from 'node:assert/strict'
import { it } from 'node:test'
import { openai } from '../../../src/dialects/openai/index.ts'
import { badRequest, modelNotFound, RouterError, streamTruncated } from '../../../src/sdk/errors.ts'

const plain = { ownPath: false, debug: false, requestId: 'r' }

it('an error has the four members that the official clients read', () => {
  assert.deepEqual(openai.writeError(badRequest('Wrong', 'messages[0]'), plain), {
    error: { message: 'Wrong', type: 'invalid_request_error', param: 'messages[0]', code: null },
  })
  assert.deepEqual(openai.writeError(modelNotFound('x'), plain), {
    error: {
      message: "The model 'x' does not exist",
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
    },
  })
})

it("an error on the router's own paths also has the older members", () => {
  const body = openai.writeError(badRequest('Wrong'), { ...plain, ownPath: true })
  assert.equal(body.status, false)
  assert.equal(body.body, 'Wrong')
  assert.deepEqual(body.error, { message: 'Wrong', type: 'invalid_request_error', param: null, code: null })
})

it('each kind of error has its type and, unless it has its own, a code', () => {
  const described = (error: RouterError): unknown[] => {
    const text = JSON.stringify(openai.writeError(error, plain))
    const { error: body } = JSON.parse(text)
    return [openai.errorStatus(error), body.type, body.code]
  }
  assert.deepEqual(described(new RouterError('auth', 'm')), [401, 'invalid_request_error', 'invalid_api_key'])
  assert.deepEqual(described(new RouterError('forbidden', 'm')), [403, 'permission_error', null])
  assert.deepEqual(described(new RouterError('rate_limit', 'm')), [
    429,
    'rate_limit_error',
    'rate_limit_exceeded',
  ])
  assert.deepEqual(described(new RouterError('overloaded', 'm')), [503, 'server_error', 'overloaded'])
  assert.deepEqual(described(new RouterError('upstream_timeout', 'm')), [504, 'server_error', 'timeout'])
  assert.deepEqual(described(new RouterError('context_overflow', 'm')), [
    400,
    'invalid_request_error',
    'context_length_exceeded',
  ])
  const quota = new RouterError('rate_limit', 'm', { code: 'insufficient_quota' })
  assert.deepEqual(described(quota), [429, 'insufficient_quota', 'insufficient_quota'])
})

it('the code of the cause is included in debug mode only', () => {
  const error = new RouterError('upstream_error', 'm', { causeCode: 'ECONNREFUSED' })
  assert.doesNotMatch(JSON.stringify(openai.writeError(error, plain)), /ECONNREFUSED/)
  const { error: body } = openai.writeError(error, { ...plain, debug: true })
  assert.deepEqual(body, {
    message: 'm',
    type: 'server_error',
    param: null,
    code: 'upstream_error',
    debug: { cause: 'ECONNREFUSED' },
  })
})

it('an error in a stream is one complete event', () => {
  assert.equal(
    openai.writeStreamError(streamTruncated(), { ...plain, ownPath: true }),
    'data: {"error":{"message":"Upstream closed the stream before it was complete","type":"server_error","param":null,"code":"upstream_truncated"}}\n\n',
  )
})
