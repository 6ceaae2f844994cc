import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiText, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const info = { model_id: 'org/up', max_total_tokens: 4096, router: 'text-generation-router' }

describe('a server of type tgi', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('Hi'))
    const server = { api_type: 'tgi', api_host: upstream.url, api_token: 'key', model_path: 'tgi' }
    router = await startRouter({ models: modelsConfig({ m: [server] }) })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const ask = async (path: string, body: object) => {
    const { status, text, headers } = await post(router.url + path, { model: 'm', stream: false, ...body })
    const sent: Record<string, unknown> = Object(upstream.requests.at(-1)?.body)
    return { status, json: JSON.parse(text), lost: headers.get('x-llm-router-lost') ?? '', sent }
  }

  test('TGI gets chats of every dialect as chat completions', async () => {
    const { json, sent } = await ask('/api/chat', { messages, options: { num_predict: 50, temperature: 0 } })
    assert.equal(json.message.content, 'Hi')
    assert.deepEqual([sent.model, sent.max_tokens, sent.temperature], ['tgi', 50, 0])
    const { url, headers } = upstream.requests.at(-1) ?? assert.fail()
    assert.deepEqual([url, headers.authorization], ['/v1/chat/completions', 'Bearer key'])
  })

  test('TGI gets no top_p that it rejects: 1, its default, is left out, and 0 becomes the minimum', async () => {
    const open = await ask('/v1/messages', { messages, max_tokens: 5, top_p: 1 })
    assert.deepEqual([open.sent.top_p, open.lost], [undefined, ''])
    const narrow = await ask('/v1/messages', { messages, max_tokens: 5, top_p: 0 })
    assert.deepEqual([narrow.sent.top_p, narrow.lost], [0.01, 'top_p'])
  })

  test('TGI gets a schema as the value of response_format', async () => {
    const schema = { type: 'object', properties: { city: { type: 'string' } } }
    const shaped = await ask('/api/chat', { messages, format: schema })
    assert.deepEqual(shaped.sent.response_format, { type: 'json', value: schema })
    const plain = await ask('/api/chat', { messages, format: 'json' })
    assert.deepEqual(plain.sent.response_format, { type: 'json', value: { type: 'object' } })
  })

  test('errors of TGI, a string with a type, are reported in the dialect of the client', async (t) => {
    t.after(() => upstream.rescript(openaiText('Hi')))
    const error =
      'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4090 `inputs` tokens and 50 `max_new_tokens`'
    upstream.rescript({ kind: 'reply', status: 422, body: { error, error_type: 'validation' } })
    const long = await ask('/v1/chat/completions', { messages })
    assert.deepEqual([long.status, long.json.error.code], [400, 'context_length_exceeded'])
    upstream.rescript({
      kind: 'reply',
      status: 429,
      body: { error: 'Model is overloaded', error_type: 'overloaded' },
    })
    assert.ok([429, 503].includes((await ask('/v1/messages', { messages, max_tokens: 5 })).status))
  })

  test('TGI has no embeddings, and gets Responses requests as chat completions', async () => {
    const embedded = await ask('/v1/embeddings', { input: 'Hello' })
    assert.deepEqual([embedded.status, embedded.json.error.code], [400, 'unsupported_operation'])
    const answered = await ask('/v1/responses', { input: 'Hello' })
    assert.match(JSON.stringify(answered.json.output), /Hi/)
    assert.equal(upstream.requests.at(-1)?.url, '/v1/chat/completions')
  })

  test('TGI’s context length is in the model list, whatever the model is called in the configuration', async (t) => {
    t.after(() => upstream.rescript(openaiText('Hi')))
    upstream.rescript(({ url }) =>
      url === '/info' ? { kind: 'reply', body: info } : { kind: 'reply', status: 404, body: {} },
    )
    const { data } = JSON.parse(await (await fetch(`${router.url}/v1/models`)).text())
    assert.equal(data[0].max_model_len, 4096)
  })
})
