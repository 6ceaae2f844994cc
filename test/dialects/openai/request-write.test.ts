import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readRequest } from '../../../src/dialects/openai/request/read.ts'
import { writeRequest } from '../../../src/dialects/openai/request/write.ts'
import type { ChatMessage, ChatRequest } from '../../../src/sdk/chat.ts'
import type { Flavour } from '../../../src/sdk/profile.ts'

const user: ChatMessage = { role: 'user', parts: [{ type: 'text', text: 'Hi' }] }

function write(
  members: Partial<ChatRequest>,
  flavour: Flavour = {},
): { body: Record<string, unknown>; dropped: string[] } {
  const request: ChatRequest = {
    model: 'alias',
    stream: false,
    includeUsage: false,
    messages: [user],
    tools: [],
    sampling: {},
    extras: {},
    ...members,
  }
  const dropped: string[] = []
  const body = writeRequest(request, { model: 'up', flavour, drop: (field) => dropped.push(field) })
  return { body, dropped }
}

function messagesOf(messages: ChatMessage[], flavour: Flavour = {}): unknown {
  return write({ messages }, flavour).body.messages
}

it('a request has nothing that the client did not ask for', () => {
  assert.deepEqual(write({}), {
    body: { model: 'up', messages: [{ role: 'user', content: 'Hi' }], stream: false },
    dropped: [],
  })
})

it('a stream always requests its token counts', () => {
  const { body } = write({ stream: true })
  assert.equal(body.stream, true)
  assert.deepEqual(body.stream_options, { include_usage: true })
})

describe('sampling', () => {
  it('plain sampling fields keep their names', () => {
    const { body, dropped } = write({
      sampling: {
        maxTokens: 9,
        temperature: 0,
        topP: 0.5,
        seed: 1,
        stop: ['a'],
        logprobs: true,
        topLogprobs: 2,
        n: 2,
      },
    })
    const { model: _model, messages: _messages, stream: _stream, ...fields } = body
    assert.deepEqual(fields, {
      max_tokens: 9,
      temperature: 0,
      top_p: 0.5,
      seed: 1,
      stop: ['a'],
      logprobs: true,
      top_logprobs: 2,
      n: 2,
    })
    assert.deepEqual(dropped, [])
  })

  it('the limit has the name that the server supports', () => {
    const { body } = write({ sampling: { maxTokens: 9 } }, { maxTokensField: 'max_completion_tokens' })
    assert.deepEqual([body.max_completion_tokens, 'max_tokens' in body], [9, false])
  })

  it('extensions are sent to servers that support them, and reported otherwise', () => {
    const sampling = { topK: 5, minP: 0.1, typicalP: 0.2, repetitionPenalty: 1.1 }
    assert.deepEqual(write({ sampling }).dropped, ['top_k', 'min_p', 'typical_p', 'repeat_penalty'])
    const known = write(
      { sampling },
      { samplingExtensions: ['top_k', 'min_p'], repetitionPenalty: 'repetition_penalty' },
    )
    assert.deepEqual([known.body.top_k, known.body.min_p, known.body.repetition_penalty], [5, 0.1, 1.1])
    assert.deepEqual(known.dropped, ['typical_p'])
    assert.equal(write({ sampling }, { repetitionPenalty: 'repeat_penalty' }).body.repeat_penalty, 1.1)
  })

  it('a reasoning level becomes the nearest one that the server supports', () => {
    const effort = (
      reasoningEffort: ChatRequest['reasoningEffort'] & string,
      reasoningEfforts?: string[],
    ): unknown =>
      write({ reasoningEffort }, reasoningEfforts ? { reasoningEfforts } : {}).body.reasoning_effort
    const levels = ['none', 'low', 'medium', 'high']
    assert.equal(effort('xhigh'), 'xhigh')
    assert.equal(effort('on'), 'medium')
    assert.equal(effort('on', levels), 'medium')
    assert.equal(effort('none', levels), 'none')
    assert.equal(effort('minimal', levels), 'low', 'a level never becomes none')
    assert.equal(effort('max', levels), 'high')
    assert.equal(effort('medium', ['low', 'high']), 'high', 'a tie goes to the higher level')
  })

  it('reasoning that cannot be disabled is reported', () => {
    const { body, dropped } = write({ reasoningEffort: 'none' }, { reasoningEfforts: ['low', 'high'] })
    assert.equal(body.reasoning_effort, 'low')
    assert.deepEqual(dropped, ['reasoning_effort'])
  })
})

it('unsupported fields are reported: those of other dialects, keep_alive and engine options', () => {
  const { body, dropped } = write({
    extras: { template: 'x' },
    ollama: { keepAlive: '5m', options: { num_ctx: 1, num_gpu: 2 } },
    user: 'u',
  })
  assert.deepEqual(dropped, ['keep_alive', 'options.num_ctx', 'options.num_gpu', 'template'])
  assert.equal(body.user, 'u')
  assert.ok(!('template' in body || 'options' in body || 'keep_alive' in body))
})

describe('messages', () => {
  it('a developer message keeps its role only if the server supports it', () => {
    const message: ChatMessage = { role: 'system', developer: true, parts: [{ type: 'text', text: 'S' }] }
    assert.deepEqual(messagesOf([message]), [{ role: 'system', content: 'S' }])
    assert.deepEqual(messagesOf([message], { developerRole: true }), [{ role: 'developer', content: 'S' }])
  })

  it('texts are joined, and images make the content a list of parts', () => {
    const text = { type: 'text' as const, text: 'a' }
    assert.deepEqual(messagesOf([{ role: 'user', parts: [text, text], name: 'me' }]), [
      { role: 'user', content: 'a\na', name: 'me' },
    ])
    const image = {
      type: 'image' as const,
      source: { kind: 'base64' as const, mediaType: 'image/png', data: 'AA==' },
    }
    assert.deepEqual(messagesOf([{ role: 'user', parts: [text, image] }]), [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
        ],
      },
    ])
  })

  it('an assistant message with only tool calls has no content, and its result has the id of the call', () => {
    const messages: ChatMessage[] = [
      {
        role: 'assistant',
        parts: [],
        reasoning: '',
        toolCalls: [{ id: 'a', name: 'f', arguments: '{"x":1}' }],
      },
      { role: 'tool', callId: 'a', name: 'f', parts: [{ type: 'text', text: '42' }] },
      { role: 'assistant', parts: [], reasoning: '', toolCalls: [] },
    ]
    assert.deepEqual(messagesOf(messages), [
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: '42' },
      { role: 'assistant', content: '' },
    ])
  })

  it('earlier reasoning is sent under the names that the server reads, and reported if there are none', () => {
    const messages: ChatMessage[] = [
      { role: 'assistant', parts: [{ type: 'text', text: 'T' }], reasoning: 'hm', toolCalls: [] },
    ]
    assert.deepEqual(messagesOf(messages, { reasoningHistory: ['reasoning_content', 'reasoning'] }), [
      { role: 'assistant', content: 'T', reasoning_content: 'hm', reasoning: 'hm' },
    ])
    const { body, dropped } = write({ messages })
    assert.deepEqual(body.messages, [{ role: 'assistant', content: 'T' }])
    assert.deepEqual(dropped, ['messages.reasoning'])
  })
})

describe('tools and response formats', () => {
  const tools = [{ name: 'f', parameters: { type: 'object' } }, { name: 'g' }]
  const [f, g] = tools.map((tool) => ({ type: 'function', function: tool }))

  it('a tool choice without tools is not sent', () => {
    const { body } = write({ toolChoice: 'auto', parallelToolCalls: true })
    assert.ok(!('tools' in body || 'tool_choice' in body || 'parallel_tool_calls' in body))
  })

  it('a named tool choice is sent by name, or as the only tool offered with "required"', () => {
    const named = write({ tools, toolChoice: { name: 'g' }, parallelToolCalls: false }).body
    assert.deepEqual(named.tools, [f, g])
    assert.deepEqual(named.tool_choice, { type: 'function', function: { name: 'g' } })
    assert.equal(named.parallel_tool_calls, false)
    const required = write({ tools, toolChoice: { name: 'g' } }, { namedToolChoice: false }).body
    assert.deepEqual([required.tools, required.tool_choice], [[g], 'required'])
  })

  it('JSON without a schema is an open schema if the server does not support json_object', () => {
    assert.deepEqual(write({ responseFormat: { type: 'json' } }).body.response_format, {
      type: 'json_object',
    })
    assert.deepEqual(
      write({ responseFormat: { type: 'json' } }, { jsonObject: false }).body.response_format,
      {
        type: 'json_schema',
        json_schema: { name: 'response', schema: { type: 'object' } },
      },
    )
  })

  it('a schema always has a name, and is strict only if the client set it', () => {
    assert.deepEqual(write({ responseFormat: { type: 'schema', schema: { a: 1 } } }).body.response_format, {
      type: 'json_schema',
      json_schema: { name: 'response', schema: { a: 1 } },
    })
  })
})

it('a request that is read and written again is unchanged', () => {
  const body = {
    model: 'up',
    messages: [
      { role: 'developer', content: 'S' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'image_url', image_url: { url: 'https://e.org/a' } },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'r' },
    ],
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: 5,
    logit_bias: { 1: 2 },
    tools: [{ type: 'function', function: { name: 'f' } }],
    tool_choice: 'auto',
    reasoning_effort: 'high',
    user: 'u',
  }
  const dropped: string[] = []
  const written = writeRequest(readRequest(body, true), {
    model: 'up',
    flavour: { developerRole: true },
    drop: (field) => dropped.push(field),
  })
  assert.deepEqual(written, body)
  assert.deepEqual(dropped, [])
})
