import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  ollamaError,
  ollamaStream,
  ollamaText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const openai = '/v1/chat/completions'

describe('prompts for Ollama servers', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(ollamaText('Hi'))
    const server = (more: object = {}) => ({ api_type: 'ollama', api_host: upstream.url, ...more })
    const group = {
      m: { providers: [server()] },
      cuts: { providers: [server({ defaults: { truncate: true } })] },
      old: { providers: [server({ drop_params: ['truncate', 'shift'] })] },
    }
    router = await startRouter({ models: { g: group, active_models: { g: Object.keys(group) } } })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const sent = (): Record<string, unknown> => Object(upstream.requests.at(-1)?.body)
  const ask = async (path: string, body: object) => {
    const answer = await post(router.url + path, { model: 'm', max_tokens: 16, stream: false, ...body })
    const { truncate, shift } = sent()
    return { ...answer, truncate, shift }
  }

  for (const [path, body] of [
    [openai, { messages }],
    ['/v1/messages', { messages }],
    ['/v1/responses', { input: 'Hello' }],
    ['/v1/completions', { prompt: 'Hello' }],
    ['/v1/completions', { prompt: 'Hello', suffix: 'world' }],
  ] as const) {
    test(`are never cut for clients of ${path} ${Object.keys(body).join(', ')}`, async () => {
      upstream.rescript('suffix' in body ? generated : ollamaText('Hi'))
      const { status, truncate, shift } = await ask(path, body)
      assert.deepEqual([status, truncate, shift], [200, false, false])
    })
  }

  test('are not cut in streams either', async () => {
    upstream.rescript(ollamaStream(['Hi']))
    const { truncate, shift } = await ask(openai, { messages, stream: true })
    assert.deepEqual([truncate, shift], [false, false])
  })

  test('are cut if the client or the operator asks for it', async () => {
    upstream.rescript(ollamaText('Hi'))
    const byClient = await ask(openai, { messages, truncate: true, shift: true })
    assert.deepEqual([byClient.truncate, byClient.shift], [true, true])
    const byOperator = await ask(openai, { messages, model: 'cuts' })
    assert.deepEqual([byOperator.truncate, byOperator.shift], [true, false])
    const left = await ask(openai, { messages, model: 'old' })
    assert.deepEqual([left.truncate, left.shift], [undefined, undefined])
  })

  test("of Ollama's own clients pass through unchanged", async () => {
    upstream.rescript(ollamaText('Hi'))
    const answer = await ask('/api/chat', { messages })
    assert.deepEqual([answer.truncate, answer.shift], [undefined, undefined])
  })

  test('inputs of OpenAI embeddings are rejected rather than cut, while Ollama clients decide themselves', async () => {
    upstream.rescript({ kind: 'reply', body: { embeddings: [[1, 0]], prompt_eval_count: 1 } })
    await ask('/v1/embeddings', { input: 'Hello' })
    assert.equal(sent().truncate, false)
    await ask('/api/embed', { input: 'Hello' })
    assert.equal('truncate' in sent(), false)
    await ask('/api/embeddings', { prompt: 'Hello' })
    assert.equal('truncate' in sent(), false)
  })

  const words = 'request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it'
  const engineError = { code: 400, message: words, type: 'exceed_context_size_error', n_ctx: 4096 }
  for (const [form, text] of [
    ['as it is', words],
    ['as JSON inside a string', JSON.stringify({ error: engineError })],
  ] as const) {
    test(`an overflow error that comes ${form} is reported in the client's dialect, with both sizes`, async () => {
      upstream.rescript(ollamaError(400, text))
      const ofOpenai = await ask(openai, { messages })
      assert.equal(ofOpenai.status, 400)
      const { error } = JSON.parse(ofOpenai.text)
      assert.equal(error.code, 'context_length_exceeded')
      assert.match(error.message, /maximum context length is 4096 tokens.*resulted in 5000 tokens/)
      const ofAnthropic = await ask('/v1/messages', { messages })
      assert.deepEqual(
        [ofAnthropic.status, JSON.parse(ofAnthropic.text).error.type],
        [400, 'invalid_request_error'],
      )
      assert.match(ofAnthropic.text, /prompt is too long: 5000 tokens > 4096 maximum/)
      const ofResponses = await ask('/v1/responses', { input: 'Hello' })
      assert.equal(JSON.parse(ofResponses.text).error.code, 'context_length_exceeded')
    })
  }
})

const generated = {
  kind: 'reply',
  body: { model: 'x', response: 'Hi', done: true, done_reason: 'stop' },
} as const
