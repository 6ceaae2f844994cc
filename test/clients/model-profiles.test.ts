import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { anthropicText } from '../helpers/anthropic-answers.ts'
import { geminiAnswer } from '../helpers/gemini-answers.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiText,
  type Relayed,
  relayed,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

const functionTool = {
  type: 'function',
  function: { name: 'f', parameters: { type: 'object', properties: {} } },
}
const anthropicTool = { name: 'f', input_schema: { type: 'object', properties: {} } }
const unsignedLoop = [
  ...messages,
  {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
  },
  { role: 'tool', tool_call_id: 'c1', content: 'r' },
]

describe('what a model accepts', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('Hi'))
    const of = (api_type: string, more: object = {}) => [{ api_type, api_host: upstream.url, ...more }]
    const claude = (model_path: string, more: object = {}) => of('anthropic', { model_path, ...more })
    router = await startRouter({
      models: modelsConfig({
        unknown: of('anthropic', { model_path: 'some-model' }),
        opus: claude('claude-opus-4-7'),
        bedrock: claude('anthropic.claude-opus-4-6-v1:0'),
        sonnet: claude('claude-sonnet-4-5-20250929'),
        older: claude('claude-3-5-sonnet-latest'),
        mythos: claude('claude-mythos-preview'),
        preset: claude('claude-opus-4-7', { defaults: { temperature: 0.5, top_k: 40, max_tokens: 99 } }),
        'preset-one': claude('claude-sonnet-4-5', { defaults: { top_p: 0.5 } }),
        told: claude('our-claude', { profile: { thinking: 'adaptive', efforts: ['low', 'high'] } }),
        compatible: of('openai', { model_path: 'some-model' }),
        gpt41: of('openai', { model_path: 'gpt-4.1' }),
        gpt5: of('openai', { model_path: 'gpt-5' }),
        gpt56: of('openai', { model_path: 'gpt-5.6-sol' }),
        gpt56r: of('openai', { model_path: 'gpt-5.6-sol', responses: true }),
        vllm: of('vllm'),
        'vllm-16': of('vllm', { profile: { max_stops: 16 } }),
        sglang: of('sglang'),
        narrow: of('vllm', { profile: { ranges: { temperature: [0.2, 0.8] } } }),
        mistral: of('vllm', { model_path: 'mistralai/Mistral-Small-3.2' }),
        'mistral-openai': of('openai', { model_path: 'mistral-large-latest' }),
        'mistral-llamacpp': of('llamacpp', { model_path: 'mistral-small' }),
        gemini: of('gemini', { model_path: 'gemini-3-pro' }),
        'gemini-openai': of('openai', { model_path: 'gemini-2.5-flash' }),
        dropping: of('vllm', { drop_params: ['seed'] }),
      }),
    })
  })
  beforeEach(() => upstream.rescript(openaiText('Hi')))
  after(async () => {
    await router.close()
    await upstream.close()
  })

  const ask = (path: string, body: object | string) => relayed(router.url, upstream, path, body)
  const chat = (model: string, members: object = {}) =>
    ask('/v1/chat/completions', { model, messages, ...members })
  const claudeCode = (model: string, members: object = {}) =>
    ask('/v1/messages', { model, messages, max_tokens: 100, ...members })
  const overAnthropic = () => upstream.rescript(anthropicText('Hi'))

  test('an effort level is sent to models with adaptive thinking, and a token budget to the others', async () => {
    overAnthropic()
    const adaptive = await chat('opus', { reasoning_effort: 'xhigh' })
    assert.deepEqual(adaptive.body.thinking, { type: 'adaptive' })
    assert.deepEqual(adaptive.body.output_config, { effort: 'xhigh' })
    const earlier = await chat('bedrock', { reasoning_effort: 'xhigh' })
    assert.deepEqual(earlier.body.output_config, { effort: 'max' })
    const budget = await chat('sonnet', { reasoning_effort: 'xhigh' })
    assert.deepEqual(budget.body.thinking, { type: 'enabled', budget_tokens: 16_384 })
    assert.equal(budget.body.output_config, undefined)
    const none = await chat('older', { reasoning_effort: 'high' })
    assert.equal(none.body.thinking, undefined)
    assert.match(none.lost, /reasoning_effort/)
    const off = await chat('opus', { reasoning_effort: 'none' })
    assert.deepEqual(off.body.thinking, { type: 'disabled' })
    const always = await chat('mythos', { reasoning_effort: 'none' })
    assert.deepEqual(always.body.output_config, { effort: 'low' })
    assert.match(always.lost, /reasoning_effort/)
    const configured = await chat('told', { reasoning_effort: 'low' })
    assert.deepEqual(configured.body.output_config, { effort: 'low' })
  })

  test('thinking with a budget is omitted if the assistant turn does not begin with signed thinking', async () => {
    overAnthropic()
    for (const behind of [[], messages, [{ role: 'system', content: 'reminder' }]]) {
      const { body, lost } = await chat('sonnet', {
        messages: [...unsignedLoop, ...behind],
        reasoning_effort: 'high',
        tools: [functionTool],
      })
      assert.equal(body.thinking, undefined)
      assert.match(lost, /reasoning_effort/)
    }
    const continued = await chat('sonnet', {
      messages: [...messages, { role: 'assistant', content: 'It' }],
      reasoning_effort: 'high',
    })
    assert.equal(continued.body.thinking, undefined)
    const answered = await chat('sonnet', {
      messages: [...unsignedLoop, { role: 'assistant', content: 'Done' }, ...messages],
      reasoning_effort: 'high',
      tools: [functionTool],
    })
    assert.equal(Object(answered.body.thinking).type, 'enabled')
  })

  test('sampling parameters that a model rejects are dropped, including configured defaults', async () => {
    overAnthropic()
    const dropped = await chat('opus', { temperature: 0.7, top_k: 3 })
    assert.ok(!('temperature' in dropped.body) && !('top_k' in dropped.body))
    assert.match(dropped.lost, /temperature, top_k/)
    assert.equal((await chat('opus', { temperature: 1 })).lost, '')
    const preset = await chat('preset')
    assert.ok(!('temperature' in preset.body) && !('top_k' in preset.body))
    assert.equal(preset.body.max_tokens, 99)
    assert.equal((await chat('sonnet', { temperature: 0.7 })).body.temperature, 0.7)
    upstream.rescript(openaiText('Hi'))
    const gpt = await claudeCode('gpt5', { temperature: 0.5, stop_sequences: ['x'] })
    assert.ok(!('temperature' in gpt.body) && !('stop' in gpt.body))
    assert.match(gpt.lost, /temperature/)
    assert.match(gpt.lost, /stop/)
  })

  test("sampling parameters outside the server's range are clamped and reported", async () => {
    const penalties = { presence_penalty: 3, frequency_penalty: -3 }
    const options = { temperature: 2.5, top_p: 0, repeat_penalty: 3, ...penalties }
    for (const model of ['vllm', 'sglang']) {
      const { body, lost } = await ask('/api/chat', { model, messages, stream: false, options })
      const { temperature, top_p, repetition_penalty, presence_penalty, frequency_penalty } = body
      assert.deepEqual(
        [temperature, top_p, repetition_penalty, presence_penalty, frequency_penalty],
        [2, 0.01, 2, 2, -2],
      )
      for (const name of ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty'])
        assert.ok(lost.includes(name), lost)
    }
    const within = { temperature: 0, top_p: 1, presence_penalty: -2 }
    const kept = await ask('/api/chat', { model: 'vllm', messages, stream: false, options: within })
    assert.deepEqual([kept.body.temperature, kept.body.top_p, kept.lost], [0, 1, ''])
    const narrow = await claudeCode('narrow', { temperature: 1, top_p: 0 })
    assert.deepEqual([narrow.body.temperature, narrow.body.top_p, narrow.lost], [0.8, 0, 'temperature'])
    const openai = await claudeCode('compatible', { temperature: 1, top_k: 4 })
    assert.deepEqual([openai.body.temperature, openai.lost], [1, 'top_k'])
    overAnthropic()
    const claude = await chat('older', { temperature: 1.5, top_p: -0.2 })
    assert.deepEqual([claude.body.temperature, claude.body.top_p], [1, 0])
    assert.match(claude.lost, /temperature/)
    // In the same dialect the server validates its own parameters.
    upstream.rescript(openaiText('Hi'))
    assert.equal((await chat('vllm', { temperature: 5 })).body.temperature, 5)
  })

  test('only one of temperature and top_p is sent to a model that accepts one', async () => {
    overAnthropic()
    const both = await chat('unknown', { temperature: 0.5, top_p: 0.9 })
    assert.deepEqual([both.body.temperature, both.body.top_p, both.lost], [0.5, undefined, 'top_p'])
    const standard = await chat('sonnet', { temperature: 1, top_p: 0.9 })
    assert.deepEqual([standard.body.temperature, standard.body.top_p, standard.lost], [undefined, 0.9, ''])
    const older = await chat('older', { temperature: 0.5, top_p: 0.9 })
    assert.deepEqual([older.body.temperature, older.body.top_p], [0.5, 0.9])
    const withDefault = await chat('preset-one', { temperature: 0.5 })
    assert.deepEqual([withDefault.body.temperature, withDefault.body.top_p], [0.5, undefined])
    assert.equal((await chat('preset-one')).body.top_p, 0.5)
  })

  test('a model that does not continue assistant turns is asked in text to continue', async () => {
    overAnthropic()
    const prefilled = [...messages, { role: 'assistant', content: 'It is' }]
    const { body, lost } = await chat('opus', { messages: prefilled })
    const turns = JSON.stringify(body.messages)
    assert.match(turns, /"role":"assistant".*"role":"user","content":\[\{"type":"text","text":"Continue/)
    assert.match(lost, /messages\.prefill/)
    const kept = await chat('sonnet', { messages: prefilled })
    assert.equal(Object([kept.body.messages].flat().at(-1)).role, 'assistant')
  })

  test('tools with reasoning use the Responses API, or no reasoning where there is none', async () => {
    const thinking = {
      tools: [anthropicTool],
      thinking: { type: 'adaptive' },
      output_config: { effort: 'high' },
    }
    const item = { type: 'message', id: 'm', role: 'assistant', status: 'completed' }
    upstream.rescript({
      kind: 'reply',
      body: {
        id: 'resp_1',
        object: 'response',
        status: 'completed',
        model: 'gpt-5.6-sol',
        output: [{ ...item, content: [{ type: 'output_text', text: 'Hello', annotations: [] }] }],
      },
    })
    const native = await claudeCode('gpt56r', thinking)
    assert.equal(native.path, '/v1/responses')
    assert.deepEqual(native.body.reasoning, { effort: 'high' })
    assert.match(native.answer, /"text":"Hello"/)
    upstream.rescript(openaiText('Hi'))
    for (const members of [thinking, { tools: [anthropicTool] }]) {
      const chats = await claudeCode('gpt56', members)
      assert.equal(chats.path, '/v1/chat/completions')
      assert.equal(chats.body.reasoning_effort, 'none')
      assert.match(chats.lost, /reasoning_effort/)
    }
    const toolless = await claudeCode('gpt56', {
      thinking: { type: 'adaptive' },
      output_config: { effort: 'high' },
    })
    assert.equal(toolless.body.reasoning_effort, 'high')
    const plain = await claudeCode('gpt41', thinking)
    assert.ok(!('reasoning_effort' in plain.body))
    assert.match(plain.lost, /reasoning_effort/)
  })

  test('a server found to have no Responses API gets a chat request', async () => {
    upstream.rescript((request) =>
      request.url === '/v1/responses'
        ? { kind: 'reply', status: 404, body: { detail: 'Not Found' } }
        : openaiText('as a chat'),
    )
    const { answer, body } = await claudeCode('gpt56r', { tools: [anthropicTool] })
    assert.match(answer, /as a chat/)
    assert.equal(body.reasoning_effort, 'none')
  })

  test('reasoning of earlier turns is sent back, except to OpenAI’s own models', async () => {
    const history = [
      ...messages,
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'I see', signature: '' },
          { type: 'text', text: 'Yes' },
        ],
      },
      ...messages,
    ]
    const back = await claudeCode('compatible', { messages: history })
    assert.match(back.json, /"reasoning_content":"I see"/)
    const none = await claudeCode('gpt41', { messages: history })
    assert.doesNotMatch(none.json, /I see/)
    assert.match(none.lost, /messages\.reasoning/)
  })

  test('penalties are not sent to Gemini models that reject them', async () => {
    upstream.rescript(geminiAnswer([{ functionCall: { name: 'x', args: {} } }]))
    const penalties = { presence_penalty: 0.2, frequency_penalty: 0.3 }
    const { body, lost } = await chat('gemini', penalties)
    assert.deepEqual([body.generationConfig, lost], [undefined, 'presence_penalty, frequency_penalty'])
    assert.equal((await chat('gemini', { presence_penalty: 0 })).lost, '')
    upstream.rescript(openaiText('Hi'))
    const options = { ...penalties, temperature: 0.5 }
    const compatible = await ask('/api/chat', { model: 'gemini-openai', messages, stream: false, options })
    assert.equal(compatible.lost, 'presence_penalty, frequency_penalty')
    assert.deepEqual([compatible.body.temperature, compatible.body.presence_penalty], [0.5, undefined])
  })

  test('a limit of no tokens is rejected, because it means something else to every server', async () => {
    const from = upstream.requests.length
    for (const model of ['sonnet', 'gemini'])
      assert.match((await chat(model, { max_tokens: 0 })).answer, /'max_tokens' must be at least 1/)
    assert.match((await claudeCode('vllm', { max_tokens: 0 })).answer, /'max_tokens' must be at least 1/)
    assert.equal(upstream.requests.length, from)
  })

  test("call ids are shortened to the server's limit, and results still refer to their calls", async () => {
    const turn = (id: string) => [
      ...messages,
      { role: 'assistant', content: [{ type: 'tool_use', id, name: 'f', input: {} }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: 'r' }] },
    ]
    const idsOf = ({ json }: Relayed) =>
      [...json.matchAll(/"(?:tool_call_id|id)":"([^"]*)"/g)].map((found) => found[1])
    for (const [model, pattern] of [
      ['compatible', /^.{1,40}$/],
      ['mistral', /^[a-zA-Z0-9]{9}$/],
      ['mistral-openai', /^[a-zA-Z0-9]{9}$/],
      ['mistral-llamacpp', /^[a-zA-Z0-9]{9}$/],
    ] as const) {
      const ids = idsOf(
        await claudeCode(model, { tools: [anthropicTool], messages: turn(`toolu_${'a'.repeat(60)}`) }),
      )
      assert.equal(ids.length, 2)
      assert.equal(ids[0], ids[1])
      assert.match(ids[0] ?? '', pattern)
    }
  })

  test('a user id that the server would reject is replaced by a digest', async () => {
    const long = `user_${'0123456789abcdef'.repeat(7)}`
    const { body, lost } = await claudeCode('compatible', { metadata: { user_id: long } })
    assert.match(String(body.user), /^user_[0-9a-f]{32}$/)
    assert.match(lost, /user/)
    const other = await claudeCode('compatible', { metadata: { user_id: `${long}0` } })
    assert.notEqual(other.body.user, body.user)
    assert.equal((await claudeCode('compatible', { metadata: { user_id: 'u1' } })).body.user, 'u1')
    overAnthropic()
    const mail = await chat('unknown', { user: 'someone@example.org' })
    assert.doesNotMatch(mail.json, /@/)
    assert.match(mail.json, /"user_id":"user_[0-9a-f]{32}"/)
    assert.match(mail.lost, /user/)
  })

  test("stop sequences beyond the server's limit are dropped", async () => {
    const stop_sequences = ['a', 'b', 'c', 'd', 'e', 'f']
    for (const model of ['vllm', 'compatible']) {
      const { body, lost } = await claudeCode(model, { stop_sequences })
      assert.deepEqual(body.stop, ['a', 'b', 'c', 'd'])
      assert.match(lost, /stop/)
    }
    const more = await claudeCode('vllm-16', { stop_sequences })
    assert.deepEqual([more.body.stop, more.lost], [stop_sequences, ''])
  })

  test('schema keywords that a server rejects are moved to descriptions', async () => {
    overAnthropic()
    const schema = {
      type: 'object',
      properties: {
        minimum: { type: 'integer', minimum: 1, maximum: 9, description: 'How many' },
        list: {
          type: 'array',
          minItems: 1,
          maxItems: 3,
          items: { type: 'string', minLength: 2, format: 'email' },
        },
        open: { type: 'object', additionalProperties: true },
      },
    }
    const format = { type: 'json_schema', json_schema: { name: 'x', schema } }
    const { body, lost } = await chat('unknown', { response_format: format })
    assert.deepEqual(Object(body.output_config).format.schema, {
      type: 'object',
      properties: {
        minimum: { type: 'integer', description: 'How many\n{minimum: 1, maximum: 9}' },
        list: {
          type: 'array',
          minItems: 1,
          items: { type: 'string', format: 'email', description: '{minLength: 2}' },
          description: '{maxItems: 3}',
        },
        open: { type: 'object', description: '{additionalProperties: true}', additionalProperties: false },
      },
      additionalProperties: false,
    })
    assert.match(lost, /response_format\.schema/)
    const parameters = { type: 'object', properties: { n: { type: 'integer', minimum: 1 } } }
    const tool = (strict: boolean) => ({ type: 'function', function: { name: 'f', parameters, strict } })
    assert.match((await chat('unknown', { tools: [tool(true)] })).json, /\{minimum: 1\}/)
    assert.match((await chat('unknown', { tools: [tool(false)] })).json, /"minimum":1/)
    const either = { type: 'object', properties: {}, anyOf: [{ required: ['a'] }, { required: ['b'] }] }
    const rooted = await chat('unknown', {
      tools: [{ type: 'function', function: { name: 'f', parameters: either } }],
    })
    assert.deepEqual(Object([rooted.body.tools].flat()[0]).input_schema, {
      type: 'object',
      properties: {},
      description: '{anyOf: [{"required":["a"]},{"required":["b"]}]}',
    })
    assert.match(rooted.lost, /tools\.parameters/)
  })

  test('an unpaired surrogate becomes U+FFFD in a body that the router writes', async () => {
    overAnthropic()
    const text = `{"model":"unknown","messages":[{"role":"user","content":"a\\ud83d b \\ud83d\\ude00 \\\\ud83d"}]}`
    const { json, lost } = await ask('/v1/chat/completions', text)
    assert.ok(json.includes('a\ufffd b \u{1f600} \\\\ud83d'))
    assert.match(lost, /messages\.content/)
  })

  test('fields that drop_params removes are reported, in translation and in passthrough', async () => {
    const translated = await ask('/api/chat', {
      model: 'dropping',
      stream: false,
      messages,
      options: { seed: 7 },
    })
    assert.deepEqual([translated.body.seed, translated.lost], [undefined, 'seed'])
    const passed = await chat('dropping', { seed: 7 })
    assert.deepEqual([passed.body.seed, passed.lost], [undefined, 'seed'])
    assert.equal((await chat('dropping')).lost, '')
    upstream.rescript({
      kind: 'reply',
      body: { object: 'list', model: 'x', data: [{ object: 'embedding', index: 0, embedding: [1] }] },
    })
    const embedded = await ask('/v1/embeddings', {
      model: 'dropping',
      input: 'a',
      encoding_format: 'float',
      seed: 7,
    })
    assert.deepEqual([embedded.body.seed, embedded.lost], [undefined, 'seed'])
  })

  test('a request in the server’s own dialect is passed through whatever its model accepts', async () => {
    const { body, lost } = await chat('gpt56', {
      tools: [{ ...functionTool, function: { ...functionTool.function, name: 'a.b' } }],
      temperature: 0.3,
      stop: ['1', '2', '3', '4', '5'],
    })
    assert.equal(body.temperature, 0.3)
    assert.deepEqual(body.stop, ['1', '2', '3', '4', '5'])
    assert.equal(lost, '')
  })

  test('requests that the router makes itself follow the profile too', async () => {
    overAnthropic()
    await post(`${router.url}/builtin/simplify_text`, {
      model_name: 'opus',
      texts: ['A text'],
      temperature: 0.4,
    })
    assert.ok(!('temperature' in Object(upstream.requests.at(-1)?.body)))
  })
})
