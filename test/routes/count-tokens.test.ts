import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { anthropicError } from '../helpers/anthropic-answers.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { openaiError, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'

const input_schema = { type: 'object', properties: { city: { type: 'string' } } }
const prompt = {
  system: 'Be brief',
  messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
  tools: [{ name: 'get_weather', description: 'Weather', input_schema }],
}

describe('a token count of a prompt', () => {
  let claude: ScriptedUpstream
  let vllm: ScriptedUpstream
  let engine: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    claude = await startUpstream({ kind: 'reply', body: { input_tokens: 21 } })
    vllm = await startUpstream({ kind: 'reply', body: { count: 33, max_model_len: 4096, tokens: [1, 2] } })
    engine = await startUpstream({ kind: 'reply', body: { input_tokens: 44 } })
    const anthropic = { api_type: 'anthropic', api_host: claude.url, api_token: 'key', model_path: 'up' }
    const local = { api_type: 'vllm', api_host: vllm.url, model_path: 'org/up' }
    router = await startRouter({
      models: modelsConfig({
        claude: [anthropic],
        local: [local],
        llamacpp: [{ ...local, api_type: 'llamacpp', api_host: engine.url }],
        sglang: [{ ...local, api_type: 'sglang', api_host: engine.url }],
        plain: [{ ...local, tool_calling: false }],
        mixed: [{ api_type: 'ollama', api_host: 'http://127.0.0.1:9', weight: 1 }, anthropic],
        ollama: [{ api_type: 'ollama', api_host: 'http://127.0.0.1:9' }],
      }),
    })
  })
  after(async () => {
    await router.close()
    await claude.close()
    await vllm.close()
    await engine.close()
  })

  async function count(body: object, headers: Record<string, string> = {}) {
    const answer = await post(`${router.url}/v1/messages/count_tokens`, body, {
      'content-type': 'application/json',
      ...headers,
    })
    assert.equal(answer.status, 200, answer.text)
    return {
      tokens: JSON.parse(answer.text).input_tokens,
      estimated: answer.headers.get('x-llm-router-estimate') === 'true',
    }
  }

  for (const type of ['llamacpp', 'sglang']) {
    it(`comes from ${type} itself, which receives the chat as it would be sent for an answer`, async () => {
      const body = {
        ...prompt,
        model: type,
        max_tokens: 5,
        thinking: { type: 'enabled', budget_tokens: 1024 },
        messages: [
          { role: 'user', content: 'Hello' },
          {
            role: 'assistant',
            content: [
              { type: 'thinking', thinking: 'Hm', signature: '' },
              { type: 'text', text: 'Hi' },
            ],
          },
          { role: 'system', content: 'Be kind' },
          { role: 'user', content: 'Bye' },
        ],
      }
      assert.deepEqual(await count(body), { tokens: 44, estimated: false })
      const { url, body: sent } = engine.requests.at(-1) ?? assert.fail()
      assert.equal(url, '/v1/messages/count_tokens')
      const { model, system, messages, tools, ...rest } = Object(sent)
      assert.deepEqual([model, system], ['org/up', [{ type: 'text', text: 'Be brief' }]])
      // The later system message becomes a user message, as in the chat: the templates of these servers reject another one.
      assert.deepEqual(
        messages.map(({ role }: { role: string }) => role),
        ['user', 'assistant', 'user'],
      )
      assert.equal(messages[1].content[0].thinking, 'Hm')
      assert.match(JSON.stringify(messages[2]), /Be kind.*Bye/)
      assert.deepEqual(tools, prompt.tools)
      assert.equal(rest.max_tokens, undefined)
    })
  }

  it('is requested from the engine without lone surrogates, which strict parsers reject', async () => {
    await count({ ...prompt, model: 'local', system: 'a\ud83d b' })
    const sent = vllm.requests.at(-1)?.raw.toString() ?? ''
    assert.ok(sent.includes('a\ufffd b'))
  })

  it("comes from an Anthropic upstream, which receives the client's bytes without the output parameters", async () => {
    const bytes =
      '{"model":"claude","max_tokens":5,"big":12345678901234567890,"messages":[{"role":"user","content":"Hi"}]}'
    const beta = { 'anthropic-beta': 'x-2026', 'content-type': 'application/json' }
    const answer = await post(`${router.url}/v1/messages/count_tokens?beta=true`, bytes, beta)
    assert.deepEqual(JSON.parse(answer.text), { input_tokens: 21 })
    assert.equal(answer.headers.get('x-llm-router-estimate'), null)
    const { url, raw, headers } = claude.requests.at(-1) ?? assert.fail()
    assert.equal(url, '/v1/messages/count_tokens')
    assert.equal(
      raw.toString(),
      '{"model":"up","big":12345678901234567890,"messages":[{"role":"user","content":"Hi"}]}',
    )
    assert.deepEqual([headers['x-api-key'], headers['anthropic-beta']], ['key', 'x-2026'])
  })

  it('comes from vLLM, which receives the messages and tools as in its own chat', async () => {
    assert.deepEqual(await count({ ...prompt, model: 'local' }), { tokens: 33, estimated: false })
    const { url, body } = vllm.requests.at(-1) ?? assert.fail()
    assert.equal(url, '/tokenize')
    assert.deepEqual(body, {
      model: 'org/up',
      messages: [
        { role: 'system', content: 'Be brief' },
        { role: 'user', content: 'Hello' },
      ],
      tools: [
        {
          type: 'function',
          function: { name: 'get_weather', description: 'Weather', parameters: input_schema },
        },
      ],
    })
    await count({ ...prompt, model: 'plain' })
    assert.equal(Object(vllm.requests.at(-1)?.body).tools, undefined)
  })

  it('is requested only from targets that can count', async () => {
    for (let i = 0; i < 4; i++) {
      assert.deepEqual(await count({ ...prompt, model: 'mixed' }), { tokens: 21, estimated: false })
    }
  })

  it('is an estimate, marked as such, if no target can count', async () => {
    const { tokens, estimated } = await count({ ...prompt, model: 'ollama' })
    assert.ok(estimated && tokens > 0)
  })

  it('is an estimate if the upstream fails or returns something else', async (t) => {
    t.after(() => claude.rescript({ kind: 'reply', body: { input_tokens: 21 } }))
    for (const failure of [
      anthropicError(400, 'invalid_request_error', 'no'),
      { kind: 'reply' as const, status: 404, body: 'not here' },
      { kind: 'reply' as const, body: { tokens: 'many' } },
      { kind: 'reset' as const },
    ]) {
      claude.rescript(failure)
      assert.ok((await count({ ...prompt, model: 'claude' })).estimated)
    }
    vllm.rescript(openaiError(400, { message: 'no chat template' }))
    assert.ok((await count({ ...prompt, model: 'local' })).estimated)
  })
})
