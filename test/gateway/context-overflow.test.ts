import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiText,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

/** Error messages of servers: prompt, answer and context of 5000, 4000 and 8192 tokens, or a prompt of 9000. */
const both = {
  vLLM: "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (5000 in the messages, 4000 in the completion). Please reduce the length of the messages or completion.",
  'newer vLLM':
    "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum context length is 8192 tokens and your request has 5000 input tokens (4000 > 8192 - 5000).",
  SGLang:
    "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9000 tokens: 5000 tokens from the input messages and 4000 tokens for the completion.",
  TGI: 'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192. Given: 5000 `inputs` tokens and 4000 `max_new_tokens`',
  OpenRouter:
    "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens (5000 of text input, 4000 in the output). Please reduce the length of either one.",
  Anthropic:
    'input length and `max_tokens` exceed context limit: 5000 + 4000 > 8192, decrease input length or `max_tokens` and try again',
}
const prompt = {
  vLLM: 'The decoder prompt (length 9000) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no smaller than the number of text tokens.',
  SGLang: "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
  TGI: 'Input validation error: `inputs` must have less than 8192 tokens. Given: 9000',
  'llama.cpp': 'request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it',
  Gemini: 'The input token count (9000) exceeds the maximum number of tokens allowed (8192).',
  'Vertex AI':
    'Unable to submit request because the input token count is 9000 but model only supports up to 8192. Reduce the input token count and try again.',
  GitHub: 'prompt token count of 9000 exceeds the limit of 8192',
  Moonshot: 'Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)',
  Bedrock: 'Too many input tokens. Max input tokens: 8192, request input token count: 9000',
  Anthropic: 'prompt is too long: 9000 tokens > 8192 maximum',
}
const bare = {
  Bedrock: 'Input is too long for requested model.',
  Ollama: 'the input length exceeds the context length',
  Groq: 'Please reduce the length of the messages or completion.',
  Zhipu: 'Prompt exceeds max length',
  Alibaba: 'Range of input length should be [1, 30720]',
  OpenAI: 'Your input exceeds the context window of this model. Please adjust your input and try again.',
}

const refusal = (message: string, status = 400): Behaviour => ({
  kind: 'reply',
  status,
  body: { error: { message, type: 'invalid_request_error' } },
})

const paths = {
  openai: '/v1/chat/completions',
  anthropic: '/v1/messages',
  responses: '/v1/responses',
  ollama: '/api/chat',
}

describe('a request that exceeds the context', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('ok'))
    const provider = { api_type: 'vllm', api_host: upstream.url, model_path: upstreamModel }
    router = await startRouter({
      models: modelsConfig({ m: [provider], fits: [{ ...provider, fit_max_tokens: true }] }),
    })
  })
  beforeEach(() => upstream.rescript(openaiText('ok')))
  after(async () => {
    await router.close()
    await upstream.close()
  })

  async function ask(path: string, more: object = {}) {
    const question = path === paths.responses ? { input: 'hi' } : { messages }
    const limit = path === paths.responses ? { max_output_tokens: 4000 } : { max_tokens: 4000 }
    const answer = await post(router.url + path, {
      model: 'm',
      stream: false,
      ...question,
      ...limit,
      ...more,
    })
    const { error }: { error?: { code?: string; message?: string } | string | null } = JSON.parse(answer.text)
    const { code, message } = typeof error === 'string' ? { code: undefined, message: error } : (error ?? {})
    return {
      status: answer.status,
      lost: answer.headers.get('x-llm-router-lost'),
      code,
      message: message ?? '',
    }
  }

  for (const [server, text] of Object.entries(both)) {
    test(`Anthropic clients get all three counts of an overflow: ${server}`, async () => {
      upstream.rescript(refusal(text, server === 'TGI' ? 422 : 400))
      const { status, message } = await ask(paths.anthropic)
      assert.equal(status, 400)
      assert.match(message, /^input length and `max_tokens` exceed context limit: 5000 \+ 4000 > 8192/)
    })

    test(`OpenAI clients get the limit and the error code of an overflow: ${server}`, async () => {
      upstream.rescript(refusal(text))
      for (const path of [paths.openai, paths.responses]) {
        const { status, code, message } = await ask(path)
        assert.deepEqual([status, code], [400, 'context_length_exceeded'])
        assert.match(message, /maximum context length (?:is|of) 8192 tokens/)
      }
    })
  }

  for (const [server, text] of Object.entries(prompt)) {
    test(`every client gets an error that the prompt is too long: ${server}`, async () => {
      upstream.rescript(refusal(text))
      assert.match((await ask(paths.anthropic)).message, /^prompt is too long: 9000 tokens > 8192 maximum/)
      const { code, message } = await ask(paths.openai)
      assert.equal(code, 'context_length_exceeded')
      assert.match(message, /maximum context length is 8192 tokens.*9000/)
      assert.match((await ask(paths.ollama)).message, /context length/)
    })
  }

  for (const [server, text] of Object.entries(bare)) {
    test(`an overflow error without numbers is recognised: ${server}`, async () => {
      upstream.rescript(refusal(text))
      assert.match((await ask(paths.anthropic)).message, /^prompt is too long/)
      assert.equal((await ask(paths.openai)).code, 'context_length_exceeded')
    })
  }

  test('an output limit above what the model supports is not a context overflow', async () => {
    upstream.rescript(
      refusal('max_tokens is too large: 100000. This model supports at most 16384 completion tokens.'),
    )
    assert.equal((await ask(paths.openai)).code, null)
  })

  const fitting = ({ body }: RecordedRequest): Behaviour =>
    Object(body).max_tokens === 3192 ? openaiText('ok') : refusal(both.vLLM)

  for (const path of Object.values(paths)) {
    test(`fit_max_tokens lowers the limit to what fits, and reports it: ${path}`, async () => {
      upstream.rescript(fitting)
      const before = upstream.requests.length
      const options = path === paths.ollama ? { options: { num_predict: 4000 } } : {}
      const { status, lost } = await ask(path, { model: 'fits', ...options })
      assert.deepEqual([status, upstream.requests.length - before], [200, 2])
      assert.match(String(lost), /max_tokens/)
    })
  }

  test('fit_max_tokens sends a prompt that is too long only once', async () => {
    upstream.rescript(refusal(prompt.vLLM))
    const before = upstream.requests.length
    const { code } = await ask(paths.openai, { model: 'fits' })
    assert.deepEqual([code, upstream.requests.length - before], ['context_length_exceeded', 1])
  })
})
