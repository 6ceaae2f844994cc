import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { responses } from '../../../src/dialects/responses/index.ts'
import { withRequestState } from '../../../src/routes/openai/response-state.ts'
import { badRequest, RouterError, streamTruncated, upstreamFailed } from '../../../src/sdk/errors.ts'
import { checkStream, eventsOf, objectOf } from './grammar.ts'
import { context, type Json } from './support.ts'

const options = { ownPath: false, debug: false, requestId: 'req1' }

function oneCall(onAnswer: (answer: Json) => void = () => {}) {
  return withRequestState(responses, { remembered: { history: undefined, referenced: new Map() }, onAnswer })
}

describe('errors before a response', () => {
  it("an error has OpenAI's form, and also the older members on the router's own paths", () => {
    const error = { message: 'no', type: 'invalid_request_error', param: 'input', code: 'c' }
    assert.deepEqual(responses.writeError(badRequest('no', 'input', 'c'), options), { error })
    assert.deepEqual(responses.writeError(badRequest('no', 'input', 'c'), { ...options, ownPath: true }), {
      status: false,
      body: 'no',
      error,
    })
  })

  it('the code of the cause is included in debug mode only', () => {
    const failed = upstreamFailed('no', 'ECONNREFUSED')
    assert.ok(!JSON.stringify(responses.writeError(failed, options)).includes('ECONNREFUSED'))
    const shown = responses.writeError(failed, { ...options, debug: true })
    assert.deepEqual(objectOf(shown.error).debug, { cause: 'ECONNREFUSED' })
  })
})

describe('errors in a stream', () => {
  it('an error in a stream continues the stream of its request', () => {
    const dialect = oneCall()
    dialect.chat.createWriter(context).write({ type: 'text-delta', choice: 0, text: 'of a target given up' })
    const writer = dialect.chat.createWriter(context)
    const begun = writer.write({ type: 'text-delta', choice: 0, text: 'Hi' })
    const { answer } = checkStream(begun + dialect.writeStreamError(streamTruncated(), options))
    assert.equal(answer.status, 'failed')
    assert.ok(Array.isArray(answer.output) && answer.output.length === 1)
  })

  it('an error without a known stream is a response.failed event', () => {
    const [event] = eventsOf(oneCall().writeStreamError(new RouterError('rate_limit', 'slow'), options))
    assert.equal(event?.type, 'response.failed')
    assert.deepEqual(objectOf(event?.response).error, { code: 'rate_limit_exceeded', message: 'slow' })
  })
})

describe('the record of a response', () => {
  it('a whole or streamed response is handed over once it is complete, and a failed one never is', () => {
    const answers: Json[] = []
    const dialect = oneCall((answer) => answers.push(answer))
    const whole = dialect.chat.writeResponse({ choices: [] }, context)
    const writer = dialect.chat.createWriter(context)
    const last = eventsOf(writer.write({ type: 'end' })).at(-1)
    dialect.chat.createWriter(context).write({ type: 'error', error: streamTruncated() })
    assert.deepEqual(answers, [whole, last?.response])
  })
})
