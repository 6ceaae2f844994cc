import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { missingDefaults } from '../../../src/dialects/responses/request/sampling.ts'
import { writeRequest } from '../../../src/dialects/responses/request/write.ts'
import type { ChatMessage, ChatRequest } from '../../../src/sdk/chat.ts'
import { RouterError } from '../../../src/sdk/errors.ts'
import type { Flavour } from '../../../src/sdk/profile.ts'
import { type Json, readMembers } from './support.ts'

const messages: ChatMessage[] = [
  { role: 'system', developer: true, parts: [{ type: 'text', text: 'S' }] },
  { role: 'user', parts: [{ type: 'text', text: 'U' }] },
]

function write(members: Partial<ChatRequest>, flavour: Flavour = {}): { body: Json; dropped: string[] } {
  const dropped: string[] = []
  const request: ChatRequest = {
    model: 'alias',
    stream: false,
    includeUsage: false,
    messages,
    tools: [],
    sampling: {},
    extras: {},
    ...members,
  }
  const body = writeRequest(request, { model: 'up', flavour, drop: (field) => dropped.push(field) })
  return { body, dropped }
}

describe('a request for a Responses upstream', () => {
  it('a request has nothing that the client did not ask for, and is not stored', () => {
    assert.deepEqual(write({}).body, {
      model: 'up',
      input: [
        { role: 'system', content: 'S' },
        { role: 'user', content: 'U' },
      ],
      stream: false,
      store: false,
    })
  })

  it('an assistant message is split into items, and results are matched by call_id only', () => {
    const { body, dropped } = write({
      messages: [
        {
          role: 'assistant',
          parts: [{ type: 'text', text: 'A' }],
          reasoning: 'plan',
          toolCalls: [{ id: 'call_1', name: 'f', arguments: '{}' }],
        },
        { role: 'tool', callId: 'call_1', parts: [{ type: 'text', text: 'ok' }] },
      ],
    })
    assert.deepEqual(body.input, [
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'A', annotations: [] }] },
      { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'ok' },
    ])
    assert.deepEqual(dropped, ['messages.reasoning'])
  })

  it('a written request reads back as the same conversation', () => {
    const conversation: ChatMessage[] = [
      { role: 'system', developer: true, parts: [{ type: 'text', text: 'S' }] },
      {
        role: 'user',
        parts: [
          { type: 'text', text: 'U' },
          { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' }, detail: 'low' },
        ],
      },
      {
        role: 'assistant',
        parts: [{ type: 'text', text: 'A' }],
        reasoning: 'plan',
        toolCalls: [{ id: 'call_1', name: 'f', arguments: '{"a":1}' }],
      },
      { role: 'tool', callId: 'call_1', name: 'f', parts: [{ type: 'text', text: 'ok' }] },
    ]
    const flavour: Flavour = { developerRole: true, reasoningHistory: ['reasoning_content'] }
    const { body, dropped } = write({ messages: conversation }, flavour)
    assert.deepEqual(readMembers({ input: body.input }).messages, conversation)
    assert.deepEqual(dropped, [])
  })

  it('limits, formats and effort are renamed, and the limit is at least OpenAI’s minimum', () => {
    const schema = { type: 'object' }
    const { body } = write({
      sampling: { maxTokens: 5, temperature: 0, topP: 0.5, logprobs: true, topLogprobs: 2 },
      responseFormat: { type: 'schema', schema, name: 'n', strict: true },
      reasoningEffort: 'low',
      user: 'u',
    })
    const { model: _model, input: _input, stream: _stream, store: _store, ...rest } = body
    assert.deepEqual(rest, {
      max_output_tokens: 16,
      temperature: 0,
      top_p: 0.5,
      include: ['message.output_text.logprobs'],
      top_logprobs: 2,
      text: { format: { type: 'json_schema', name: 'n', schema, strict: true } },
      reasoning: { effort: 'low' },
      user: 'u',
    })
  })

  it('a tool is sent as not strict unless the client asked for it', () => {
    const { body } = write({
      tools: [{ name: 'f', parameters: { type: 'object' } }],
      toolChoice: { name: 'f' },
      parallelToolCalls: false,
    })
    assert.deepEqual(body.tools, [
      { type: 'function', name: 'f', parameters: { type: 'object' }, strict: false },
    ])
    assert.deepEqual(body.tool_choice, { type: 'function', name: 'f' })
    assert.equal(body.parallel_tool_calls, false)
    assert.equal('tool_choice' in write({ toolChoice: 'auto' }).body, false)
  })

  it('fields that the API lacks are reported, and more than one choice is rejected', () => {
    const { dropped } = write({
      sampling: { seed: 1, stop: ['x'], presencePenalty: 1, topK: 3 },
      extras: { odd: 1 },
      ollama: { keepAlive: '5m', options: { num_ctx: 8 } },
    })
    assert.deepEqual(dropped.sort(), [
      'keep_alive',
      'odd',
      'options.num_ctx',
      'presence_penalty',
      'seed',
      'stop',
      'top_k',
    ])
    assert.throws(
      () => write({ sampling: { n: 2 } }),
      (error) => error instanceof RouterError && error.param === 'n',
    )
  })

  it('the effort becomes the nearest level that the upstream supports', () => {
    const effort = (reasoningEffort: 'minimal' | 'max' | 'on'): unknown =>
      write({ reasoningEffort }, { reasoningEfforts: ['none', 'low', 'medium', 'high'] }).body.reasoning
    assert.deepEqual(effort('minimal'), { effort: 'low' })
    assert.deepEqual(effort('max'), { effort: 'high' })
    assert.deepEqual(effort('on'), { effort: 'medium' })
  })
})

describe('defaults of the operator', () => {
  it('defaults under the names of any dialect fill what is missing', () => {
    assert.deepEqual(missingDefaults({}, { max_tokens: 90, reasoning_effort: 'low', service_tier: 'flex' }), {
      max_output_tokens: 90,
      reasoning: { effort: 'low' },
      service_tier: 'flex',
    })
    assert.deepEqual(missingDefaults({}, { options: { num_predict: 70, temperature: 0.1, num_ctx: 5 } }), {
      max_output_tokens: 70,
      temperature: 0.1,
    })
  })

  it('a default limit is at least OpenAI’s minimum', () => {
    assert.deepEqual(missingDefaults({}, { max_tokens: 5 }), { max_output_tokens: 16 })
  })

  it('defaults never change what the client sent', () => {
    const defaults = { temperature: 0.1, max_tokens: 9, reasoning: { effort: 'low', summary: 'auto' } }
    const sent = { temperature: 0, max_output_tokens: 20, reasoning: { effort: 'high' } }
    assert.deepEqual(missingDefaults(sent, defaults), { reasoning: { effort: 'high', summary: 'auto' } })
  })

  it('defaults that the API lacks or that mean no limit are ignored', () => {
    assert.deepEqual(missingDefaults({}, { seed: 1, stop: ['x'], keep_alive: '5m', max_tokens: -1 }), {})
  })
})
