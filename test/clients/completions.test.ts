import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import OpenAI from 'openai'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import { type Behaviour, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const head = {
  id: 'cmpl-upstream',
  object: 'text_completion',
  created: 1_795_392_000,
  model: 'upstream-model',
}
const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }

function completion(text: string): Behaviour {
  return {
    kind: 'reply',
    body: { ...head, choices: [{ text, index: 0, logprobs: null, finish_reason: 'length' }], usage },
  }
}

function chunk(text: string, finish: string | null = null): string {
  const choices = [{ text, index: 0, logprobs: null, finish_reason: finish }]
  return `data: ${JSON.stringify({ ...head, choices })}\n\n`
}

function completionStream(
  texts: readonly string[],
  ending: readonly string[] = [upstreams.openaiDone],
): Behaviour {
  const counts = `data: ${JSON.stringify({ ...head, choices: [], usage })}\n\n`
  return {
    kind: 'stream',
    pieces: [...texts.map((text) => chunk(text)), chunk('', 'length'), counts, ...ending],
  }
}

describe('completions with the official OpenAI client', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter
  let client: OpenAI

  before(async () => {
    upstream = await startUpstream(completion('unused'))
    const server = (type: string, more: object = {}) => [
      { api_type: type, api_host: upstream.url, model_path: 'upstream-model', ...more },
    ]
    router = await startRouter({
      models: modelsConfig({
        native: server('vllm'),
        older: server('openai'),
        chats: server('vllm', { paths: { completion: false } }),
        llama: server('ollama'),
        claude: server('anthropic'),
      }),
    })
    client = new OpenAI({ baseURL: `${router.url}/v1`, apiKey: 'x', maxRetries: 0 })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const last = () => upstream.requests.at(-1) ?? assert.fail('no request reached the upstream')

  test('a server with a completions endpoint receives the request bytes unchanged', async () => {
    upstream.rescript(completion(' world'))
    const body = '{"model":"native", "prompt":["Hello"],  "guided_choice":["a"], "seed":12345678901234567890}'
    const answer = await post(`${router.url}/v1/completions`, body)
    assert.equal(answer.status, 200)
    assert.equal(last().url, '/v1/completions')
    assert.equal(last().raw.toString(), body.replace('"native"', '"upstream-model"'))
    const { model, choices } = JSON.parse(answer.text)
    assert.deepEqual([model, choices[0].text], ['native', ' world'])
  })

  test('a native stream is forwarded with the model renamed and the usage chunk removed unless requested', async () => {
    upstream.rescript(completionStream([' wor', 'ld']))
    const stream = await client.completions.create({ model: 'native', prompt: 'Hello', stream: true })
    let text = ''
    for await (const part of stream) {
      assert.deepEqual([part.model, part.choices.length], ['native', 1])
      text += part.choices[0]?.text
    }
    assert.equal(text, ' world')
    assert.deepEqual((last().body as { stream_options: unknown }).stream_options, { include_usage: true })
  })

  test('a native stream that is cut off is an error, not a normal end', async () => {
    upstream.rescript({ kind: 'stream', pieces: [chunk('half')], ending: 'cut' })
    const stream = await client.completions.create({ model: 'native', prompt: 'Hello', stream: true })
    await assert.rejects(async () => {
      for await (const _part of stream);
    })
  })

  test('a stream of two prompts is complete only when both have ended', async () => {
    upstream.rescript({ kind: 'stream', pieces: [chunk('one', 'stop')] })
    const { text } = await post(`${router.url}/v1/completions`, {
      model: 'native',
      prompt: ['a', 'b'],
      stream: true,
    })
    assert.match(text, /"error"/)
    assert.doesNotMatch(text, /\[DONE\]/)
  })

  test('a server found to have no completions endpoint gets a chat request, and is not tried again', async () => {
    upstream.rescript(({ url }) =>
      url === '/v1/completions'
        ? {
            kind: 'reply',
            status: 404,
            body: { error: { message: 'This is a chat model and not supported here', param: 'model' } },
          }
        : upstreams.openaiText(' world'),
    )
    const before = upstream.requests.length
    for (let turn = 0; turn < 2; turn++) {
      const answer = await client.completions.create({ model: 'older', prompt: 'Hello' })
      assert.equal(answer.choices[0]?.text, ' world')
    }
    assert.deepEqual(
      upstream.requests.slice(before).map(({ url }) => url),
      ['/v1/completions', '/v1/chat/completions', '/v1/chat/completions'],
    )
  })

  test('a server that does not know the model gets no second request', async () => {
    upstream.rescript(
      upstreams.openaiError(404, { message: 'The model `x` does not exist', code: 'model_not_found' }),
    )
    const before = upstream.requests.length
    await assert.rejects(client.completions.create({ model: 'native', prompt: 'Hello' }))
    assert.equal(upstream.requests.length, before + 1)
  })

  test('a server without completions gets the prompt as one user turn', async () => {
    upstream.rescript(upstreams.openaiText(' world'))
    const answer = await client.completions.create({
      model: 'chats',
      prompt: 'Hello',
      max_tokens: 5,
      stop: ['.'],
    })
    assert.equal(last().url, '/v1/chat/completions')
    assert.deepEqual(last().body, {
      model: 'upstream-model',
      messages,
      stream: false,
      max_tokens: 5,
      stop: ['.'],
    })
    assert.equal(answer.object, 'text_completion')
    assert.match(answer.id, /^cmpl-/)
    assert.equal(answer.model, 'chats')
    assert.deepEqual(answer.choices, [{ text: ' world', index: 0, logprobs: null, finish_reason: 'stop' }])
    assert.equal(answer.usage?.total_tokens, 12)
  })

  for (const model of ['chats', 'llama']) {
    test(`a translated stream over ${model} consists of text completion chunks`, async () => {
      upstream.rescript(
        model === 'llama' ? upstreams.ollamaStream(['a', 'b']) : upstreams.openaiStream(['a', 'b']),
      )
      const stream = await client.completions.create({
        model,
        prompt: 'Hello',
        stream: true,
        stream_options: { include_usage: true },
      })
      const parts = await Array.fromAsync(stream)
      assert.ok(parts.every(({ object, id }) => object === 'text_completion' && id === parts[0]?.id))
      assert.equal(parts.flatMap(({ choices }) => choices.map(({ text }) => text)).join(''), 'ab')
      assert.deepEqual(parts.at(-2)?.choices[0]?.finish_reason, 'stop')
      assert.deepEqual([parts.at(-1)?.choices, parts.at(-1)?.usage?.total_tokens], [[], 12])
    })
  }

  test('echo repeats the prompt before the completion, whole and streamed', async () => {
    upstream.rescript(upstreams.openaiText(' world'))
    const whole = await client.completions.create({ model: 'chats', prompt: 'Hello', echo: true })
    assert.equal(whole.choices[0]?.text, 'Hello world')
    upstream.rescript(upstreams.openaiStream([' wor', 'ld']))
    const stream = await client.completions.create({
      model: 'chats',
      prompt: 'Hello',
      echo: true,
      stream: true,
    })
    const parts = await Array.fromAsync(stream)
    assert.equal(parts.map(({ choices }) => choices[0]?.text).join(''), 'Hello world')
  })

  test('log probabilities are returned as parallel lists', async () => {
    const token = (text: string, logprob: number) => ({ token: text, logprob, bytes: null })
    const content = [
      { ...token(' wo', -0.1), top_logprobs: [token(' wo', -0.1), token(' Wo', -2)] },
      { ...token('rld', -0.2), top_logprobs: [] },
    ]
    upstream.rescript(upstreams.openaiText(' world', {}, { logprobs: { content } }))
    const answer = await client.completions.create({ model: 'chats', prompt: 'Hello', logprobs: 2 })
    const sent = last().body as Record<string, unknown>
    assert.deepEqual([sent.logprobs, sent.top_logprobs], [true, 2])
    assert.deepEqual(answer.choices[0]?.logprobs, {
      tokens: [' wo', 'rld'],
      token_logprobs: [-0.1, -0.2],
      top_logprobs: [{ ' wo': -0.1, ' Wo': -2 }, {}],
      text_offset: [0, 3],
    })
  })

  test('a suffix is sent to an Ollama server natively, because no chat can express it', async () => {
    upstream.rescript({
      kind: 'reply',
      body: { model: 'upstream-model', response: 'return 1', done: true, done_reason: 'stop', eval_count: 3 },
    })
    const answer = await client.completions.create({
      model: 'llama',
      prompt: 'def f():',
      suffix: '\n',
      temperature: 0,
    })
    assert.equal(last().url, '/api/generate')
    assert.deepEqual(last().body, {
      model: 'upstream-model',
      prompt: 'def f():',
      suffix: '\n',
      stream: false,
      options: { temperature: 0 },
      truncate: false,
      shift: false,
    })
    assert.equal(answer.choices[0]?.text, 'return 1')
  })

  test('a request that one chat cannot express is rejected with the name of the field', async () => {
    for (const [body, param] of [
      [{ model: 'chats', prompt: ['a', 'b'] }, 'prompt'],
      [{ model: 'chats', prompt: [1, 2] }, 'prompt'],
      [{ model: 'chats', prompt: 'a', suffix: 'b' }, 'suffix'],
      [{ model: 'claude', prompt: 'a', suffix: 'b' }, 'suffix'],
      [{ model: 'llama', prompt: 'a', n: 2 }, 'n'],
      [{ model: 'native' }, 'prompt'],
    ] as const) {
      const answer = await post(`${router.url}/v1/completions`, body)
      assert.equal(answer.status, 400, JSON.stringify(body))
      assert.equal(JSON.parse(answer.text).error.param, param, answer.text)
    }
  })

  test('best_of greater than n is reported as dropped', async () => {
    upstream.rescript(upstreams.openaiText('x'))
    const answer = await post(`${router.url}/completions`, { model: 'chats', prompt: 'a', best_of: 3 })
    assert.equal(answer.headers.get('x-llm-router-lost'), 'best_of')
  })

  test("LM Studio's path and the prefixed paths are the same endpoint", async () => {
    upstream.rescript(completion('x'))
    for (const path of ['/api/v0/completions', '/api/v1/completions', '/api/completions']) {
      assert.equal((await post(router.url + path, { model: 'native', prompt: 'a' })).status, 200, path)
    }
  })
})
