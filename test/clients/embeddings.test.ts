import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { vectorFromBase64, vectorToBase64 } from '../../src/dialects/shared/vectors.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

/** A vector that identifies its text: its length in characters, and a fraction that float32 represents exactly. */
function vectorOf(text: unknown): number[] {
  return [String(text).length, 0.5]
}

function inputsOf(request: RecordedRequest): unknown[] {
  const { input } = request.body as { input: unknown }
  return Array.isArray(input) && typeof input[0] !== 'number' ? input : [input]
}

/**
 * An OpenAI-like server. `alwaysFloat`: like LM Studio, it does not support base64. Returns embeddings in reverse order, with
 * indices.
 */
function openaiVectors(request: RecordedRequest, alwaysFloat = false): Behaviour {
  const { encoding_format: format } = request.body as { encoding_format?: string }
  const data = inputsOf(request).map((text, index) => {
    const vector = vectorOf(text)
    const embedding = format === 'base64' && !alwaysFloat ? vectorToBase64(vector) : vector
    return { object: 'embedding', index, embedding }
  })
  const tokens = data.length * 2
  return {
    kind: 'reply',
    body: {
      object: 'list',
      model: 'upstream-model',
      data: data.toReversed(),
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    },
  }
}

function ollamaVectors(request: RecordedRequest): Behaviour {
  const embeddings = inputsOf(request).map(vectorOf)
  return {
    kind: 'reply',
    body: {
      model: 'upstream-model',
      embeddings,
      total_duration: 5,
      prompt_eval_count: embeddings.length * 2,
    },
  }
}

for (const type of ['openai', 'vllm', 'lmstudio', 'ollama']) {
  describe(`embeddings over an upstream of type ${type}`, () => {
    let upstream: ScriptedUpstream
    let router: TestRouter
    let openai: OpenAI
    let ollama: Ollama

    before(async () => {
      upstream = await startUpstream((request) =>
        type === 'ollama' ? ollamaVectors(request) : openaiVectors(request, type === 'lmstudio'),
      )
      const provider = { api_type: type, api_host: upstream.url, model_path: 'upstream-model', max_batch: 3 }
      router = await startRouter({ models: modelsConfig({ e: [provider] }) })
      openai = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'x', maxRetries: 0 })
      ollama = new Ollama({ host: router.url })
    })
    after(async () => {
      await router.close()
      await upstream.close()
    })

    test('the OpenAI client gets the same vectors by default, as floats and as base64', async () => {
      const input = ['a', 'bb', 'ccc']
      const wanted = [
        [1, 0.5],
        [2, 0.5],
        [3, 0.5],
      ]
      const preset = await openai.embeddings.create({ model: 'e', input })
      assert.deepEqual(
        preset.data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => Array.from(embedding)),
        wanted,
      )
      const floats = await openai.embeddings.create({ model: 'e', input, encoding_format: 'float' })
      assert.deepEqual(
        floats.data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => embedding),
        wanted,
      )
      const text = await openai.embeddings.create({ model: 'e', input: 'dddd', encoding_format: 'base64' })
      assert.deepEqual(vectorFromBase64(String(text.data[0]?.embedding)), [4, 0.5])
      assert.equal(text.model, 'e')
      assert.deepEqual(text.usage, { prompt_tokens: 2, total_tokens: 2 })
    })

    test('a request larger than a batch is split, and its vectors are returned in order', async () => {
      const before = upstream.requests.length
      const input = ['a', 'bb', 'ccc', 'dddd', 'eeeee', 'ffffff', 'ggggggg']
      const answer = await openai.embeddings.create({ model: 'e', input })
      assert.deepEqual(
        answer.data.map(({ index, embedding }) => [index, embedding[0]]),
        input.map((text, index) => [index, text.length]),
      )
      assert.deepEqual(answer.usage, { prompt_tokens: 14, total_tokens: 14 })
      const sizes = upstream.requests.slice(before).map((request) => inputsOf(request).length)
      assert.deepEqual(sizes.toSorted(), [1, 3, 3])
    })

    test('the upstream receives its own model name and the requested dimensions', async () => {
      await openai.embeddings.create({ model: 'e', input: 'x', dimensions: 256 })
      const { body, url } = upstream.requests.at(-1) ?? assert.fail()
      assert.equal(url, type === 'ollama' ? '/api/embed' : '/v1/embeddings')
      const sent = body as Record<string, unknown>
      assert.deepEqual([sent.model, sent.dimensions], ['upstream-model', 256])
    })

    test('the Ollama client gets normalized vectors from embed', async () => {
      const {
        embeddings,
        model,
        prompt_eval_count: counted,
      } = await ollama.embed({ model: 'e', input: ['a', 'bb'] })
      assert.equal(model, 'e')
      assert.equal(embeddings.length, 2)
      if (type !== 'ollama') {
        // Ollama's own vectors are forwarded unchanged: Ollama has already normalized them.
        for (const vector of embeddings) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-9)
        assert.ok(Math.abs((embeddings[1]?.[0] ?? 0) / (embeddings[1]?.[1] ?? 1) - 4) < 1e-9)
      }
      assert.equal(counted, 4)
    })

    test('the Ollama client gets one vector that is not normalized from the older embeddings method', async () => {
      const { embedding } = await ollama.embeddings({ model: 'e', prompt: 'abc' })
      assert.deepEqual(embedding, [3, 0.5])
    })

    test('an empty input is answered without an upstream request', async () => {
      const before = upstream.requests.length
      assert.deepEqual((await ollama.embed({ model: 'e', input: [] })).embeddings, [])
      assert.deepEqual((await ollama.embeddings({ model: 'e', prompt: '' })).embedding, [])
      assert.equal(upstream.requests.length, before)
    })

    test('token ids are forwarded to servers that accept them, and rejected for others', async () => {
      const answer = await post(`${router.url}/v1/embeddings`, { model: 'e', input: [1, 2, 3] })
      if (type === 'ollama') {
        assert.equal(answer.status, 400)
        assert.match(JSON.parse(answer.text).error.message, /token ids/)
      } else {
        assert.equal(answer.status, 200)
        const sent: { input?: unknown } = Object(upstream.requests.at(-1)?.body)
        assert.deepEqual(sent.input, [1, 2, 3])
      }
    })
  })
}

describe('embeddings', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream((request) => openaiVectors(request))
    const server = (type: string, more: object = {}) => ({ api_type: type, api_host: upstream.url, ...more })
    router = await startRouter({
      models: modelsConfig({
        e: [server('vllm', { is_embedding: true })],
        chat: [{ api_type: 'vllm', api_host: upstream.url, paths: { embedding: false } }],
      }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })

  test("a request in the upstream's dialect is forwarded byte for byte except for the model", async () => {
    const body = '{ "input" : "x",  "priority": 12345678901234567890, "model":"e","encoding_format":"float" }'
    const answer = await post(`${router.url}/v1/embeddings`, body)
    assert.equal(answer.status, 200)
    assert.equal(upstream.requests.at(-1)?.raw.toString(), body)
    assert.equal(JSON.parse(answer.text).model, 'e')
  })

  test('a model without embeddings is rejected with the list of models that have them', async () => {
    const answer = await post(`${router.url}/v1/embeddings`, { model: 'chat', input: 'x' })
    assert.equal(answer.status, 400)
    const { error } = JSON.parse(answer.text)
    assert.match(error.message, /'chat' does not support embeddings.*: e$/)
    assert.deepEqual([error.param, error.code], ['model', 'unsupported_operation'])
  })

  test('a server without the embeddings path yields a 400 and is not treated as failing', async () => {
    upstream.rescript({ kind: 'reply', status: 404, body: { detail: 'Not Found' } })
    const answer = await post(`${router.url}/v1/embeddings`, { model: 'e', input: 'x' })
    assert.equal(answer.status, 400)
    assert.match(JSON.parse(answer.text).error.message, /does not support embeddings/)
    upstream.rescript((request) => openaiVectors(request))
    assert.equal((await post(`${router.url}/v1/embeddings`, { model: 'e', input: 'x' })).status, 200)
  })

  test('one path accepts both forms, and errors have the form of the request', async () => {
    const url = `${router.url}/api/embeddings`
    assert.equal(JSON.parse((await post(url, { model: 'e', input: 'x' })).text).object, 'list')
    assert.deepEqual(JSON.parse((await post(url, { model: 'e', prompt: 'xy' })).text), {
      embedding: [2, 0.5],
    })
    assert.equal(typeof JSON.parse((await post(url, { model: 'none', prompt: 'x' })).text).error, 'string')
    assert.equal(
      JSON.parse((await post(url, { model: 'none', input: 'x' })).text).error.code,
      'model_not_found',
    )
  })

  test('a response with too few vectors is an error', async () => {
    upstream.rescript({ kind: 'reply', body: { object: 'list', data: [], usage: {} } })
    assert.equal((await post(`${router.url}/v1/embeddings`, { model: 'e', input: 'x' })).status, 502)
    upstream.rescript((request) => openaiVectors(request))
  })

  test('one failed part fails the whole request with its status', async (t) => {
    const server = await startUpstream((request) =>
      inputsOf(request).includes('bad')
        ? { kind: 'reply', status: 400, body: { error: { message: 'this text is too bad' } } }
        : openaiVectors(request),
    )
    const provider = { api_type: 'vllm', api_host: server.url, max_batch: 1 }
    const small = await startRouter({ models: modelsConfig({ e: [provider] }) })
    t.after(async () => {
      await small.close()
      await server.close()
    })
    const answer = await post(`${small.url}/v1/embeddings`, { model: 'e', input: ['a', 'bad', 'c'] })
    assert.equal(answer.status, 400)
    assert.match(JSON.parse(answer.text).error.message, /too bad/)
  })

  test('a server that is down is skipped in favour of one with another dialect', async (t) => {
    const ollama = await startUpstream(ollamaVectors)
    const down = { id: 'down', api_type: 'vllm', api_host: 'http://127.0.0.1:1' }
    const mixed = await startRouter({
      models: modelsConfig({
        e: [down, { api_type: 'ollama', api_host: ollama.url, keep_alive: '1h', options: { num_ctx: 512 } }],
      }),
    })
    t.after(async () => {
      await mixed.close()
      await ollama.close()
    })
    const answer = await post(`${mixed.url}/v1/embeddings`, {
      model: 'e',
      input: ['a', 'bb'],
      task: 'x',
      user: 'u',
    })
    assert.equal(answer.status, 200)
    assert.deepEqual(JSON.parse(answer.text).data[1], { object: 'embedding', index: 1, embedding: [2, 0.5] })
    assert.equal(answer.headers.get('x-llm-router-lost'), 'task')
    assert.deepEqual(ollama.requests[0]?.body, {
      model: 'e',
      input: ['a', 'bb'],
      keep_alive: '1h',
      options: { num_ctx: 512 },
      truncate: false,
    })
  })

  test('the tokens of all parts are counted in the log', async () => {
    const logged = router.requestLogged()
    await post(`${router.url}/embeddings`, { model: 'e', input: ['a', 'b'] })
    const line = await logged
    assert.deepEqual([line.prompt_tokens, line.model, line.dialect], [4, 'e', 'openai'])
  })
})
