import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mock } from '../../src/providers/mock/index.ts'
import { messages } from '../helpers/messages.ts'
import { open, play, Recorder } from './mock-player.ts'

const body = { model: 'm', messages, stream: true }
const reply = 'a b c d' // four tokens

describe('timing', () => {
  it('headers are sent immediately and tokens at their configured times', () => {
    const settings = { reply, first_token_ms: 100, tokens_per_second: 10 }
    const { clock, recorder } = open(body, settings)
    assert.equal(recorder.status, 0, 'nothing is sent synchronously')
    clock.advance(99)
    assert.equal(recorder.status, 200)
    assert.equal(recorder.text, '')
    clock.advance(1)
    assert.equal(tokensIn(recorder), 'a')
    clock.advance(99)
    assert.equal(tokensIn(recorder), 'a')
    clock.advance(1)
    assert.equal(tokensIn(recorder), 'a b')
    clock.advance(200)
    assert.equal(tokensIn(recorder), 'a b c d')
    assert.equal(recorder.ended, false)
    clock.advance(100)
    assert.equal(recorder.ended, true)
  })

  it('a whole response is sent when its last token would be ready', () => {
    const settings = { reply, first_token_ms: 100, tokens_per_second: 10 }
    const { clock, recorder } = open({ ...body, stream: false }, settings)
    clock.advance(499)
    assert.equal(recorder.status, 0)
    clock.advance(1)
    assert.equal(recorder.status, 200)
    assert.ok(recorder.ended)
  })

  it('every token is sent in its own chunk, even if there is no delay between them', () => {
    const { clock, recorder } = open(body, { reply })
    clock.advance(0)
    assert.equal(recorder.chunks.filter((chunk) => chunk.includes('"content":"')).length, 1 + 4)
    assert.ok(recorder.ended)
  })
})

describe('pause, resume and abort', () => {
  it('data and end are held back while a call is paused, and nothing is dropped', () => {
    const { call, clock, recorder } = open(body, { reply })
    recorder.afterChunk = () => call.pause()
    let rounds = 0
    clock.advance(1000)
    while (!recorder.ended) {
      rounds++
      assert.equal(recorder.chunks.length, rounds)
      call.resume()
      clock.advance(1000)
    }
    assert.equal(rounds, 1 + 4 + 2)
    assert.equal(recorder.text, play(body, { reply }).text)
  })

  it('nothing is sent twice after a pause and a resume in the middle of a chunk', () => {
    const { call, clock, recorder } = open(body, { reply })
    recorder.afterChunk = () => {
      call.pause()
      call.resume()
      call.resume()
    }
    clock.advance(1000)
    assert.equal(recorder.text, play(body, { reply }).text)
  })

  it('an aborted call sends nothing more and leaves no timer behind', () => {
    for (const abortAt of [0, 1, 3]) {
      const { call, clock, recorder } = open(body, { reply, tokens_per_second: 10 })
      if (abortAt === 0) call.abort()
      recorder.afterChunk = () => {
        if (recorder.chunks.length === abortAt) call.abort()
      }
      clock.advance(10_000)
      assert.equal(recorder.chunks.length, abortAt)
      assert.equal(recorder.ended, false)
      assert.equal(clock.pending, 0)
      call.resume()
      assert.equal(clock.pending, 0)
    }
  })

  it('pause, resume and abort have no effect once the response is complete', () => {
    const { call, clock, recorder } = open(body)
    clock.advance(1000)
    const { length } = recorder.chunks
    call.pause()
    call.resume()
    call.abort()
    clock.advance(1000)
    assert.equal(recorder.chunks.length, length)
  })
})

describe('failures', () => {
  it('a simulated failure has the configured status, in OpenAI’s form', () => {
    const limited = play(body, { error_rate: 1, error_status: 429 })
    assert.equal(limited.status, 429)
    assert.equal(limited.headers['retry-after'], '1')
    assert.equal(JSON.parse(limited.text).error.type, 'rate_limit_error')
    assert.ok(limited.ended)
    assert.equal(play(body, { error_rate: 1 }).status, 500)
    assert.equal(play(body, { error_status: 503 }).status, 503, 'a status without a rate fails every request')
    assert.equal(play(body, { error_rate: 0, error_status: 503 }).status, 200)
  })

  it('failures are as frequent as error_rate', () => {
    const settings = { error_rate: 0.25 }
    assert.equal(play(body, settings, () => 0.24).status, 500)
    assert.equal(play(body, settings, () => 0.25).status, 200)
  })

  it('failures are the same for the same seed and request, and differ between requests', () => {
    const settings = { error_rate: 0.5, seed: 7 }
    const requests = Array.from({ length: 200 }, (_, index) => ({ ...body, user: `user ${index}` }))
    const first = requests.map((request) => play(request, settings).status)
    const second = requests.map((request) => play(request, settings).status)
    assert.deepEqual(first, second)
    const failed = first.filter((status) => status === 500).length
    assert.ok(failed > 60 && failed < 140, `${failed} of 200`)
  })

  it('a body that is not a chat request is rejected with 400', () => {
    for (const bad of ['{', '[]', '{"messages":[]}', '"text"']) assert.equal(play(bad).status, 400)
  })
})

it('the same seed and request yield the same bytes, and another seed yields other ids', () => {
  const whole = { ...body, stream: false }
  const idOf = (seed: number) => JSON.parse(play(whole, { seed }).text).id
  assert.equal(play(whole, { seed: 1 }).text, play(whole, { seed: 1 }).text)
  assert.notEqual(idOf(1), idOf(2))
})

it('the mock responds on the real clock', async () => {
  const ended = Promise.withResolvers<void>()
  const recorder = new Recorder()
  recorder.onEnd = () => ended.resolve()
  const settings = { reply, first_token_ms: 5, tokens_per_second: 1000 }
  const transport = mock.createTransport?.({
    id: 'mock-1',
    upstreamModel: 'm',
    token: undefined,
    mock: settings,
  })
  const bytes = Buffer.from(JSON.stringify(body))
  transport?.open({ origin: '', path: '/', method: 'POST', headers: {}, body: bytes }, recorder)
  await ended.promise
  assert.equal(tokensIn(recorder), reply)
})

function tokensIn({ text }: Recorder): string {
  return Array.from(text.matchAll(/"content":"([^"]*)"/g), (found) => found[1]).join('')
}
