import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ConfigError } from '../../src/sdk/errors.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  ollamaText,
  openaiChunk,
  openaiError,
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

let small: ScriptedUpstream
let large: ScriptedUpstream
let router: TestRouter

before(async () => {
  small = await startUpstream(openaiText('from the small one'))
  large = await startUpstream(ollamaText('from the large one'))
  router = await startRouter({
    models: {
      m: {
        small: { providers: [{ id: 's', api_type: 'vllm', api_host: small.url }], fallbacks: ['large'] },
        large: { providers: [{ id: 'l', api_type: 'ollama', api_host: large.url }] },
        empty: { providers: [], fallbacks: ['small', 'large'] },
      },
      active_models: { m: ['small', 'large', 'empty'] },
    },
  })
})
after(async () => {
  await router.close()
  await small.close()
  await large.close()
})

const ask = (model: string, stream = false) =>
  post(`${router.url}/v1/chat/completions`, { model, stream, messages })

test('the requested model answers as long as it can, and the response names it', async () => {
  small.rescript(openaiText('from the small one'))
  const { text, headers } = await ask('small')
  assert.match(text, /from the small one/)
  assert.equal(headers.get('x-llm-router-model'), 'small')
})

test("if all its targets fail, a fallback answers under the requested name, in the client's dialect", async () => {
  small.rescript(openaiError(503, { message: 'x' }))
  large.rescript(ollamaText('from the large one'))
  const { status, text, headers } = await ask('small')
  assert.equal(status, 200)
  const answer = JSON.parse(text)
  assert.equal(answer.choices[0].message.content, 'from the large one')
  assert.equal(answer.model, 'small')
  assert.equal(headers.get('x-llm-router-model'), 'large')
  const line = await router.requestLogged(headers.get('x-request-id') ?? '')
  assert.deepEqual([line.model, line.answered_by, line.target], ['small', 'large', 'l'])
})

test('a prompt too long for the model goes to its fallback; an invalid request does not', async () => {
  small.rescript(openaiError(400, { message: "This model's maximum context length is 8 tokens" }))
  assert.match((await ask('small')).text, /from the large one/)
  small.rescript(openaiError(400, { message: 'top_p is 7' }))
  const before = large.requests.length
  assert.equal((await ask('small')).status, 400)
  assert.equal(large.requests.length, before)
})

test('a model without targets uses its fallbacks, in their order', async () => {
  small.rescript(openaiText('from the small one'))
  assert.match((await ask('empty')).text, /from the small one/)
})

test('no fallback model is used after the first content', async () => {
  small.rescript({ kind: 'stream', pieces: [openaiChunk({ content: 'Hi' })] })
  const before = large.requests.length
  const { text } = await ask('small', true)
  assert.match(text, /data: \{"error":/)
  assert.equal(large.requests.length, before)
})

test('if the fallback fails too, the client receives the error of the requested model', async () => {
  small.rescript(openaiError(429, { message: 'slow down' }))
  large.rescript({ kind: 'reset' })
  const { status, text } = await ask('small')
  assert.equal(status, 429)
  assert.match(text, /slow down/)
  large.rescript(ollamaText('from the large one'))
  small.rescript(openaiStream(['back']))
})

test('a fallback that is not an active model prevents startup', async () => {
  const provider = { api_type: 'mock' }
  const start = startRouter({
    models: {
      m: { a: { providers: [provider], fallbacks: ['b', 'a'] } },
      active_models: { m: ['a'] },
    },
  })
  await assert.rejects(start, (error) => {
    assert.ok(error instanceof ConfigError)
    const [unknown, own, ...others] = error.errors
    assert.match(unknown ?? '', /:1:\d+: m\["a"\]\.fallbacks\[0\]: no active model "b"$/)
    assert.match(own ?? '', /:1:\d+: m\["a"\]\.fallbacks\[1\]: a model cannot be its own fallback$/)
    assert.deepEqual(others, [])
    return true
  })
})
