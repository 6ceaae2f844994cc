import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiChunk, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const listing = {
  object: 'list',
  data: [{ id: 'org/up', object: 'model', owned_by: 'sglang', root: 'org/up', max_model_len: 32768 }],
}
const usage = {
  prompt_tokens: 9,
  completion_tokens: 3,
  total_tokens: 12,
  prompt_tokens_details: { cached_tokens: 4 },
}

describe('a server of type sglang', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream({ kind: 'reply', body: {} })
    const server = { api_type: 'sglang', api_host: upstream.url, api_token: 'key', model_path: 'org/up' }
    router = await startRouter({ models: modelsConfig({ m: [server] }) })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const ask = async (path: string, body: object) => {
    const answer = await post(router.url + path, { model: 'm', ...body })
    return { status: answer.status, text: answer.text, json: JSON.parse(answer.text) }
  }
  const last = () => upstream.requests.at(-1) ?? assert.fail('no request was received')

  test('the stop sequence that SGLang matched reaches Anthropic clients, whole and streamed', async () => {
    const ending = { index: 0, finish_reason: 'stop', matched_stop: 'END' }
    const body = { model: 'm', messages, max_tokens: 9, stop_sequences: ['END'] }
    upstream.rescript({ kind: 'reply', body: { choices: [{ ...ending, message: { content: 'Hi' } }] } })
    const { json } = await ask('/v1/messages', body)
    assert.deepEqual([json.stop_reason, json.stop_sequence], ['stop_sequence', 'END'])
    const last = `data: ${JSON.stringify({ choices: [{ ...ending, delta: {} }] })}\n\n`
    upstream.rescript({ kind: 'stream', pieces: [openaiChunk({ content: 'Hi' }), last, 'data: [DONE]\n\n'] })
    const { text } = await post(`${router.url}/v1/messages`, { ...body, stream: true })
    assert.match(text, /"stop_reason":"stop_sequence","stop_sequence":"END"/)
  })

  test('SGLang gets a translated chat with its own field names, and its reasoning and counts are returned', async () => {
    const message = { role: 'assistant', content: 'Hi', reasoning_content: 'Hm', tool_calls: null }
    upstream.rescript({
      kind: 'reply',
      body: {
        id: 'x',
        object: 'chat.completion',
        created: 1,
        model: 'org/up',
        usage,
        choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop', matched_stop: 151645 }],
        metadata: { weight_version: 'default' },
      },
    })
    const { status, json } = await ask('/api/chat', {
      messages,
      stream: false,
      options: { num_predict: 50, repeat_penalty: 1.1, top_k: 4, min_p: 0.1 },
    })
    assert.equal(status, 200)
    assert.deepEqual(
      [json.message.content, json.message.thinking, json.prompt_eval_count, json.eval_count],
      ['Hi', 'Hm', 9, 3],
    )
    const { url, headers, body } = last()
    assert.deepEqual([url, headers.authorization], ['/v1/chat/completions', 'Bearer key'])
    const { max_tokens, repetition_penalty, top_k, min_p } = Object(body)
    assert.deepEqual([max_tokens, repetition_penalty, top_k, min_p], [50, 1.1, 4, 0.1])
  })

  test('SGLang streams to a client of another dialect', async () => {
    upstream.rescript({
      kind: 'stream',
      pieces: [
        openaiChunk({ role: 'assistant', content: '' }),
        openaiChunk({ reasoning_content: 'Hm', content: null }),
        openaiChunk({ content: 'Hi' }),
        openaiChunk({}, 'stop'),
        `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'org/up', choices: [], usage })}\n\n`,
        'data: [DONE]\n\n',
      ],
    })
    const answer = await post(`${router.url}/v1/messages`, {
      model: 'm',
      max_tokens: 50,
      stream: true,
      messages,
    })
    assert.match(answer.text, /"thinking":"Hm"/)
    assert.match(answer.text, /"text":"Hi"/)
    assert.match(answer.text, /"cache_read_input_tokens":4/)
    assert.match(answer.text, /event: message_stop/)
  })

  test('flat errors of SGLang are reported in the dialect of the client', async () => {
    const text = "The input (40012 tokens) is longer than the model's context length (32768 tokens)."
    upstream.rescript({
      kind: 'reply',
      status: 400,
      body: { object: 'error', message: text, type: 'BadRequest', param: null, code: 400 },
    })
    const openai = await ask('/v1/chat/completions', { messages })
    assert.deepEqual([openai.status, openai.json.error.code], [400, 'context_length_exceeded'])
    const anthropic = await ask('/v1/messages', { messages, max_tokens: 5 })
    assert.deepEqual([anthropic.status, anthropic.json.error.type], [400, 'invalid_request_error'])
  })

  test('SGLang’s list of documents is returned to a client that reranks', async () => {
    const ranked = [{ score: 0.9, document: 'Cats sleep.', index: 0 }]
    upstream.rescript({ kind: 'reply', body: ranked })
    const { json } = await ask('/v1/rerank', { query: 'cats', documents: ['Cats sleep.'] })
    assert.deepEqual(json, ranked)
    assert.equal(last().url, '/v1/rerank')
  })

  test('SGLang classifies and tokenizes at its own paths', async () => {
    for (const [path, reached] of [
      ['/classify', '/v1/classify'],
      ['/tokenize', '/tokenize'],
      ['/detokenize', '/detokenize'],
      ['/v1/score', '/v1/score'],
      ['/v1/embeddings', '/v1/embeddings'],
    ]) {
      upstream.rescript({ kind: 'reply', body: { object: 'list', data: [], model: 'org/up' } })
      await post(`${router.url}${path}`, { model: 'm', input: 'Hello' })
      assert.equal(last().url, reached)
    }
  })

  test('SGLang’s context length is in the model lists', async () => {
    upstream.rescript(({ url }) => ({ kind: 'reply', body: url === '/v1/models' ? listing : {} }))
    const { data } = JSON.parse(await (await fetch(`${router.url}/v1/models`)).text())
    assert.equal(data[0].max_model_len, 32768)
  })
})
