import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { anthropicText } from '../helpers/anthropic-answers.ts'
import { eventsIn } from '../helpers/events-in.ts'
import { post } from '../helpers/http.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  ollamaText,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

type Item = Record<string, unknown>

const usage = { input_tokens: 9, output_tokens: 3 }
const thinking = { type: 'thinking', thinking: 'Let me see', signature: 'c2lnbmVk' }
const call = { type: 'tool_use', id: 'toolu_1', name: 'f', input: {} }
const message = { id: 'msg_1', type: 'message', role: 'assistant', model: upstreamModel }

const whole: Behaviour = {
  kind: 'reply',
  body: { ...message, content: [thinking, call], stop_reason: 'tool_use', stop_sequence: null, usage },
}

function event(data: Item): string {
  return `event: ${String(data.type)}\ndata: ${JSON.stringify(data)}\n\n`
}

const streamed: Behaviour = {
  kind: 'stream',
  pieces: [
    event({ type: 'message_start', message: { ...message, content: [], stop_reason: null, usage } }),
    event({
      type: 'content_block_start',
      index: 0,
      content_block: { type: 'thinking', thinking: '', signature: '' },
    }),
    event({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'thinking_delta', thinking: thinking.thinking },
    }),
    event({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'signature_delta', signature: thinking.signature },
    }),
    event({ type: 'content_block_stop', index: 0 }),
    event({ type: 'content_block_start', index: 1, content_block: call }),
    event({ type: 'content_block_stop', index: 1 }),
    event({ type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage }),
    event({ type: 'message_stop' }),
  ],
}

describe('thinking', () => {
  let upstream: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(anthropicText('ok'))
    const on = (api_type: string, model_path = upstreamModel) => [
      { api_type, api_host: upstream.url, model_path },
    ]
    router = await startRouter({
      models: modelsConfig({
        a: on('anthropic'),
        claude: on('anthropic', 'claude-sonnet-4-5'),
        o: on('ollama'),
        switch: on('ollama'),
        high: on('ollama'),
      }),
    })
  })
  after(async () => {
    await router.close()
    await upstream.close()
  })
  const lastBody = (): Item & { messages: { role: string; content: Item[] }[] } =>
    Object(upstream.requests.at(-1)?.body)

  const tools = [{ type: 'function', name: 'f', parameters: { type: 'object', properties: {} } }]
  const user = { role: 'user', content: 'hi' }
  const answered = { type: 'function_call_output', call_id: 'toolu_1', output: 'done' }
  const ask = (body: object) =>
    post(`${router.url}/v1/responses`, {
      model: 'a',
      tools,
      store: false,
      reasoning: { effort: 'medium' },
      include: ['reasoning.encrypted_content'],
      ...body,
    })

  for (const stream of [false, true]) {
    test(`continues after a tool call of a Responses client over Anthropic, ${stream ? 'streamed' : 'whole'}`, async () => {
      upstream.rescript(stream ? streamed : whole)
      const { text } = await ask({ input: [user], stream })
      const data = eventsIn(text)
      const output: Item[] = stream ? data.at(-1).response.output : JSON.parse(text).output
      assert.deepEqual(
        output.map(({ type }) => type),
        ['reasoning', 'function_call'],
      )
      const sent = { ...output[0], summary: [] }
      upstream.rescript(anthropicText('ok'))
      const { status } = await ask({ input: [user, sent, output[1], answered] })
      assert.equal(status, 200)
      const { messages, thinking: asked } = lastBody()
      assert.deepEqual(messages[1]?.content[0], thinking)
      assert.equal(Object(asked).type, 'enabled')
    })
  }

  test('from another vendor in encrypted content is reported as dropped', async () => {
    upstream.rescript(anthropicText('ok'))
    const foreign = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAAA' }
    const { status, headers } = await ask({
      input: [user, foreign, { role: 'assistant', content: 'ok' }, user],
    })
    assert.equal(status, 200)
    assert.match(String(headers.get('x-llm-router-lost')), /encrypted_content/)
  })

  test('leaves room for the response if the client sets no limit', async () => {
    upstream.rescript(anthropicText('ok'))
    await ask({ input: [user] })
    const { max_tokens: limit, thinking: asked } = lastBody()
    assert.ok(Number(limit) - Object(asked).budget_tokens >= 16_000)
    await ask({ model: 'claude', input: [user], reasoning: {} })
    assert.equal(lastBody().max_tokens, 32_000)
  })

  test('of a server that signs nothing, or of another vendor, is not sent to Anthropic', async () => {
    upstream.rescript(anthropicText('ok'))
    const unsigned = { type: 'thinking', thinking: 'Hm', signature: '' }
    const ofGemini = { ...unsigned, signature: 'gemini:c2lnbmVk' }
    const id = '9007199254740993'
    const called = { ...call, input: { id: JSON.rawJSON(id) } }
    const { status } = await post(`${router.url}/v1/messages`, {
      model: 'a',
      max_tokens: 50,
      messages: [
        user,
        { role: 'assistant', content: [unsigned, { type: 'text', text: 'A' }] },
        user,
        { role: 'assistant', content: [thinking, { type: 'text', text: 'B' }] },
        user,
        { role: 'assistant', content: [ofGemini, called] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'r' }] },
      ],
    })
    assert.equal(status, 200)
    const kinds = lastBody().messages.map(
      ({ content }) => Array.isArray(content) && content.map(({ type }) => type),
    )
    const rest = [['tool_use'], ['tool_result']]
    assert.deepEqual(kinds, [false, ['text'], false, ['thinking', 'text'], false, ...rest])
    assert.match(String(upstream.requests.at(-1)?.raw), new RegExp(`"id":${id}`))
  })

  test('is dropped and reported for an Ollama model without it, and later requests need no second attempt', async () => {
    upstream.rescript(({ body }) =>
      Object(body).think
        ? { kind: 'reply', status: 400, body: { error: `"${upstreamModel}" does not support thinking` } }
        : ollamaText('ok'),
    )
    const requests: number[] = []
    for (const path of ['/v1/chat/completions', '/v1/messages']) {
      const before = upstream.requests.length
      const { status, headers } = await post(router.url + path, {
        model: 'o',
        max_tokens: 2000,
        messages: [user],
        stream: false,
        ...(path === '/v1/messages'
          ? { thinking: { type: 'enabled', budget_tokens: 1024 } }
          : { reasoning_effort: 'high' }),
      })
      assert.equal(status, 200)
      assert.match(String(headers.get('x-llm-router-lost')), /reasoning_effort/)
      requests.push(upstream.requests.length - before)
    }
    assert.deepEqual(requests, [2, 1])
  })

  test('is enabled without a level for an Ollama model that rejects levels, and reported', async () => {
    // Ollama 0.17, for every model but gpt-oss.
    upstream.rescript(({ body }) => {
      const { think } = Object(body)
      if (think === 'max') {
        const error = 'invalid think value: "max" (must be "high", "medium", "low", true, or false)'
        return { kind: 'reply', status: 400, body: { error } }
      }
      return typeof think === 'string'
        ? {
            kind: 'reply',
            status: 400,
            body: { error: `think value "${think}" is not supported for this model` },
          }
        : ollamaText('ok')
    })
    const sent: unknown[] = []
    for (const [path, members] of [
      ['/v1/chat/completions', { reasoning_effort: 'xhigh' }],
      ['/v1/messages', { thinking: { type: 'enabled', budget_tokens: 1024 } }],
      ['/v1/chat/completions', { reasoning_effort: 'none' }],
    ] as const) {
      const before = upstream.requests.length
      const body = { model: 'switch', max_tokens: 2000, messages: [user], stream: false, ...members }
      const { status, headers, text } = await post(router.url + path, body)
      assert.equal(status, 200, text)
      const isReported = /reasoning_effort/.test(headers.get('x-llm-router-lost') ?? '')
      const thinks = upstream.requests.slice(before).map((each) => Object(each.body).think)
      sent.push([isReported, ...thinks])
    }
    assert.deepEqual(sent, [
      [true, 'max', 'high', true],
      [true, true],
      [false, false],
    ])
  })

  test('keeps its level for an Ollama server that only lacks the highest one', async () => {
    upstream.rescript(({ body }) =>
      Object(body).think === 'max'
        ? { kind: 'reply', status: 400, body: { error: 'invalid think value: "max" (must be "high", ...)' } }
        : ollamaText('ok'),
    )
    const body = { model: 'high', messages: [user], reasoning_effort: 'xhigh' }
    assert.equal((await post(`${router.url}/v1/chat/completions`, body)).status, 200)
    assert.equal(Object(lastBody()).think, 'high')
  })
})
