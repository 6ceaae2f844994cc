import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatMessage, ChatRequest } from '../../../src/core/chat.ts'
import { RouterError } from '../../../src/core/errors.ts'
import { readRequest } from '../../../src/dialects/openai/request-read.ts'

const user = { role: 'user', content: 'Hi' }

function read(members: Record<string, unknown>): ChatRequest {
  return readRequest({ model: 'm', messages: [user], ...members }, false)
}

function turns(...messages: object[]): ChatMessage[] {
  return read({ messages }).messages
}

/** The place that the refusal names. */
function refusedAt(members: Record<string, unknown>): string | undefined {
  try {
    read(members)
  } catch (error) {
    assert.ok(error instanceof RouterError)
    assert.equal(error.status, 400)
    return error.param
  }
  return assert.fail('must be refused')
}

function call(id: string | undefined, args: unknown = '{}', name = 'f'): object {
  return { ...(id === undefined ? {} : { id }), type: 'function', function: { name, arguments: args } }
}

describe('the request as a whole', () => {
  it('a minimal body says nothing that it does not say', () => {
    assert.deepEqual(read({}), {
      model: 'm',
      stream: false,
      includeUsage: false,
      messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hi' }] }],
      tools: [],
      sampling: {},
      extras: {},
    })
  })

  it('model_name is taken where model is missing, and only there', () => {
    assert.equal(read({ model: undefined, model_name: 'old' }).model, 'old')
    assert.equal(read({ model: null, model_name: 'old' }).model, 'old')
    assert.equal(read({ model_name: 'old' }).model, 'm')
  })

  it('null fields are absent ones', () => {
    const { sampling, extras, tools } = read({
      temperature: null,
      stop: null,
      tools: null,
      seed: null,
      metadata: null,
    })
    assert.deepEqual({ sampling, extras, tools }, { sampling: {}, extras: {}, tools: [] })
  })

  it('every sampling field is read', () => {
    const { sampling } = read({
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.1,
      typical_p: 0.8,
      repetition_penalty: 1.1,
      presence_penalty: 0.2,
      frequency_penalty: 0.3,
      seed: 7,
      max_tokens: 100,
      stop: 'END',
      logit_bias: { 5: -100 },
      logprobs: true,
      top_logprobs: 2,
      n: 2,
    })
    assert.deepEqual(sampling, {
      temperature: 0.5,
      topP: 0.9,
      topK: 40,
      minP: 0.1,
      typicalP: 0.8,
      repetitionPenalty: 1.1,
      presencePenalty: 0.2,
      frequencyPenalty: 0.3,
      seed: 7,
      maxTokens: 100,
      stop: ['END'],
      logitBias: { 5: -100 },
      logprobs: true,
      topLogprobs: 2,
      n: 2,
    })
  })

  it('the newer name of the limit wins, and -1 means none', () => {
    assert.equal(read({ max_tokens: 5, max_completion_tokens: 9 }).sampling.maxTokens, 9)
    assert.equal(read({ max_tokens: -1 }).sampling.maxTokens, undefined)
  })

  it('empty stop texts are dropped', () => {
    assert.deepEqual(read({ stop: ['', 'a'] }).sampling.stop, ['a'])
    assert.equal(read({ stop: [''] }).sampling.stop, undefined)
  })

  it("LM Studio's name of the repetition penalty is read too", () => {
    assert.equal(read({ repeat_penalty: 1.2 }).sampling.repetitionPenalty, 1.2)
  })

  it('fields that the codec does not know ride along', () => {
    const { extras } = read({ guided_choice: ['a'], chat_template_kwargs: { x: 1 }, num_ctx: 4096 })
    assert.deepEqual(extras, { guided_choice: ['a'], chat_template_kwargs: { x: 1 }, num_ctx: 4096 })
  })

  it('asking for token counts in the stream is told', () => {
    assert.equal(read({ stream_options: { include_usage: true } }).includeUsage, true)
    assert.equal(read({ stream_options: { include_usage: false } }).includeUsage, false)
  })

  it("Ollama's own fields are understood", () => {
    const request = read({
      options: { num_ctx: 8192 },
      keep_alive: '5m',
      think: true,
      format: { type: 'object' },
    })
    assert.deepEqual(request.ollama, { keepAlive: '5m', options: { num_ctx: 8192 } })
    assert.equal(request.reasoningEffort, 'on')
    assert.deepEqual(request.responseFormat, { type: 'schema', schema: { type: 'object' } })
    assert.equal(read({ think: false }).reasoningEffort, 'none')
    assert.deepEqual(read({ format: 'json' }).responseFormat, { type: 'json' })
    assert.deepEqual(read({ keep_alive: 0 }).ollama, { keepAlive: 0 })
  })

  it("OpenAI's fields win over Ollama's", () => {
    const request = read({
      reasoning_effort: 'low',
      think: true,
      response_format: { type: 'text' },
      format: 'json',
    })
    assert.equal(request.reasoningEffort, 'low')
    assert.deepEqual(request.responseFormat, { type: 'text' })
  })

  it('structured output keeps name, description and strictness', () => {
    const json_schema = { name: 'n', description: 'd', schema: { type: 'object' }, strict: true }
    assert.deepEqual(read({ response_format: { type: 'json_schema', json_schema } }).responseFormat, {
      type: 'schema',
      ...json_schema,
    })
    assert.deepEqual(read({ response_format: { type: 'json_object' } }).responseFormat, { type: 'json' })
  })

  it('what cannot be meant is refused with its place', () => {
    assert.equal(refusedAt({ reasoning_effort: 'huge' }), 'reasoning_effort')
    assert.equal(refusedAt({ response_format: { type: 'grammar' } }), 'response_format.type')
    assert.equal(refusedAt({ tool_choice: 'sometimes' }), 'tool_choice')
  })
})

describe('messages', () => {
  it('system and developer are told apart, and parts stay parts', () => {
    const content = [{ type: 'text', text: 'a' }, 'b']
    assert.deepEqual(turns({ role: 'system', content: 'S' }, { role: 'developer', content, name: 'boss' }), [
      { role: 'system', developer: false, parts: [{ type: 'text', text: 'S' }] },
      {
        role: 'system',
        developer: true,
        parts: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
        name: 'boss',
      },
    ])
  })

  it('user parts of every kind are read', () => {
    const content = [
      { type: 'text', text: 'Look' },
      { type: 'image_url', image_url: { url: 'https://example.org/a.png', detail: 'low' } },
      { type: 'image_url', image_url: 'data:image/PNG;base64,iVBORw0KGgo=' },
      { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
      { type: 'file', file: { file_data: 'data:application/pdf;base64,AA==', filename: 'a.pdf' } },
    ]
    assert.deepEqual(turns({ role: 'user', content })[0], {
      role: 'user',
      parts: [
        { type: 'text', text: 'Look' },
        { type: 'image', source: { kind: 'url', url: 'https://example.org/a.png' }, detail: 'low' },
        { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBORw0KGgo=' } },
        { type: 'audio', data: 'AAAA', format: 'wav' },
        { type: 'file', data: 'data:application/pdf;base64,AA==', name: 'a.pdf' },
      ],
    })
  })

  it('URL-safe and unpadded base64 is put right, and a missing media type is seen in the bytes', () => {
    const [message] = turns({
      role: 'user',
      content: [{ type: 'image_url', image_url: 'data:;base64,_9j_4A' }],
    })
    assert.deepEqual(message?.parts, [
      { type: 'image', source: { kind: 'base64', mediaType: 'image/jpeg', data: '/9j/4A==' } },
    ])
  })

  it('an image of many megabytes is read', () => {
    const data = 'A'.repeat(24 * 1024 * 1024)
    const [message] = turns({
      role: 'user',
      content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }],
    })
    const part = message?.role === 'user' ? message.parts[0] : undefined
    assert.ok(part?.type === 'image' && part.source.kind === 'base64')
    assert.equal(part.source.data.length, data.length)
  })

  it('an assistant turn keeps text, refusal, thoughts and calls', () => {
    const message = {
      role: 'assistant',
      content: [
        { type: 'text', text: 'T' },
        { type: 'refusal', refusal: 'R' },
      ],
      refusal: 'R2',
      reasoning_content: 'hm',
      tool_calls: [call('a', '{"x":1}')],
    }
    assert.deepEqual(turns(message), [
      {
        role: 'assistant',
        parts: [
          { type: 'text', text: 'T' },
          { type: 'refusal', text: 'R' },
          { type: 'refusal', text: 'R2' },
        ],
        reasoning: 'hm',
        toolCalls: [{ id: 'a', name: 'f', arguments: '{"x":1}' }],
      },
    ])
    assert.deepEqual(turns({ role: 'assistant', content: null, reasoning: 'newer' })[0], {
      role: 'assistant',
      parts: [],
      reasoning: 'newer',
      toolCalls: [],
    })
  })

  it('tool arguments that are empty, null or an object become the text of an object', () => {
    const [message] = turns({
      role: 'assistant',
      tool_calls: [call('a', ''), call('b', null), call('c', 'null'), call('d', { x: 1 })],
    })
    assert.ok(message?.role === 'assistant')
    assert.deepEqual(
      message.toolCalls.map((each) => each.arguments),
      ['{}', '{}', '{}', '{"x":1}'],
    )
  })

  it('a tool result knows the name of its call', () => {
    const messages = turns(
      { role: 'assistant', tool_calls: [call('a', '{}', 'f'), call('b', '{}', 'g')] },
      { role: 'tool', tool_call_id: 'b', content: 'G' },
      { role: 'tool', tool_call_id: 'a', content: [{ type: 'text', text: 'F' }] },
    )
    assert.deepEqual(messages.slice(1), [
      { role: 'tool', callId: 'b', name: 'g', parts: [{ type: 'text', text: 'G' }] },
      { role: 'tool', callId: 'a', name: 'f', parts: [{ type: 'text', text: 'F' }] },
    ])
  })

  it('ids that a client uses again are made unique, and results follow their calls', () => {
    const messages = turns(
      { role: 'assistant', tool_calls: [call('0', '{}', 'f')] },
      { role: 'tool', tool_call_id: '0', content: 'F' },
      { role: 'assistant', tool_calls: [call('0', '{}', 'g'), call(undefined, '{}', 'h')] },
      { role: 'tool', tool_call_id: '0', content: 'G' },
    )
    const ids = messages.flatMap((message) =>
      message.role === 'assistant' ? message.toolCalls.map(({ id }) => id) : [],
    )
    assert.equal(new Set(ids).size, 3)
    const results = messages.filter((message) => message.role === 'tool')
    assert.deepEqual(
      results.map(({ callId, name }) => [callId, name]),
      [
        ['0', 'f'],
        [ids[1], 'g'],
      ],
    )
  })

  it('the deprecated function turns are tool turns', () => {
    const messages = turns(
      { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":1}' } },
      { role: 'function', name: 'f', content: '42' },
    )
    const [asked, answered] = messages
    assert.ok(asked?.role === 'assistant' && answered?.role === 'tool')
    assert.equal(asked.toolCalls[0]?.arguments, '{"a":1}')
    assert.equal(answered.callId, asked.toolCalls[0]?.id)
    assert.deepEqual([answered.name, answered.parts], ['f', [{ type: 'text', text: '42' }]])
  })

  it('what cannot be meant is refused with its place', () => {
    const cases: [object, string][] = [
      [{ role: 'user', content: null }, 'messages[0].content'],
      [{ role: 'tool', content: 'x' }, 'messages[0].tool_call_id'],
      [{ role: 'function', content: 'x' }, 'messages[0].name'],
      [{ role: 'assistant', tool_calls: [call('a', '[1]')] }, 'messages[0].tool_calls[0].function.arguments'],
      [
        { role: 'assistant', tool_calls: [call('a', '{"x"')] },
        'messages[0].tool_calls[0].function.arguments',
      ],
      [{ role: 'user', content: [{ type: 'video_url' }] }, 'messages[0].content[0].type'],
      [{ role: 'system', content: [{ type: 'image_url', image_url: 'x' }] }, 'messages[0].content[0].type'],
      [
        { role: 'user', content: [{ type: 'image_url', image_url: 'file:///a' }] },
        'messages[0].content[0].image_url.url',
      ],
      [
        { role: 'user', content: [{ type: 'image_url', image_url: 'data:image/png;base64,a*b=' }] },
        'messages[0].content[0].image_url.url',
      ],
      [{ role: 'user', content: [{ type: 'text' }] }, 'messages[0].content[0].text'],
    ]
    for (const [message, place] of cases) assert.equal(refusedAt({ messages: [message] }), place)
  })
})

describe('tools', () => {
  const f = { name: 'f', description: 'd', parameters: { type: 'object' }, strict: true }
  const tools = [
    { type: 'function', function: f },
    { type: 'function', function: { name: 'g' } },
  ]

  it('definitions and the choice among them are read', () => {
    const request = read({
      tools,
      tool_choice: { type: 'function', function: { name: 'g' } },
      parallel_tool_calls: false,
    })
    assert.deepEqual(request.tools, [f, { name: 'g' }])
    assert.deepEqual(request.toolChoice, { name: 'g' })
    assert.equal(request.parallelToolCalls, false)
    assert.equal(read({ tools, tool_choice: 'required' }).toolChoice, 'required')
  })

  it('allowed_tools offers fewer tools', () => {
    const allowed_tools = { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] }
    const request = read({ tools, tool_choice: { type: 'allowed_tools', allowed_tools } })
    assert.deepEqual([request.tools, request.toolChoice], [[{ name: 'g' }], 'required'])
  })

  it('the deprecated functions are tools', () => {
    const request = read({ functions: [f], function_call: { name: 'f' } })
    assert.deepEqual([request.tools, request.toolChoice], [[f], { name: 'f' }])
    assert.equal(read({ functions: [f], function_call: 'none' }).toolChoice, 'none')
  })

  it('a custom tool and a choice of a tool that is not offered are refused', () => {
    assert.equal(refusedAt({ tools: [{ type: 'custom', custom: { name: 'c' } }] }), 'tools[0].type')
    assert.equal(
      refusedAt({ tools, tool_choice: { type: 'function', function: { name: 'x' } } }),
      'tool_choice.function.name',
    )
  })
})
