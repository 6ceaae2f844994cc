import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatRequest } from '../../../src/sdk/chat.ts'
import { refusedAt, sent } from './support.ts'

const tool = { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } }

describe('the fields of a request', () => {
  it('sampling, stop sequences and user are sent under Anthropic’s names', () => {
    const { body, lost } = sent({
      stream: true,
      sampling: { maxTokens: 100, temperature: 0.5, topP: 0.9, topK: 40, stop: ['END'] },
      user: 'u1',
    })
    assert.deepEqual(body, {
      model: 'claude-up-1',
      max_tokens: 100,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
      stream: true,
      stop_sequences: ['END'],
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      metadata: { user_id: 'u1' },
    })
    assert.deepEqual(lost, [])
  })

  it('a temperature above 1 becomes 1, blank stop sequences are left out, and both are reported', () => {
    const { body, lost } = sent({ sampling: { temperature: 1.7, stop: ['\n', 'END'] } })
    assert.equal(body.temperature, 1)
    assert.deepEqual(body.stop_sequences, ['END'])
    assert.deepEqual(lost.toSorted(), ['stop', 'temperature'])
  })

  it('fields that Anthropic does not have are reported, unless they have no effect', () => {
    const { lost } = sent({
      sampling: {
        seed: 1,
        minP: 0.1,
        typicalP: 0.2,
        repetitionPenalty: 1.1,
        presencePenalty: 1,
        frequencyPenalty: 1,
        logitBias: { 1: 2 },
        logprobs: true,
      },
      ollama: { keepAlive: '5m', options: { num_ctx: 4096 } },
      extras: { guided_json: {}, store: true },
    })
    assert.deepEqual(
      new Set(lost),
      new Set([
        'seed',
        'min_p',
        'typical_p',
        'repeat_penalty',
        'presence_penalty',
        'frequency_penalty',
        'logit_bias',
        'logprobs',
        'keep_alive',
        'options.num_ctx',
        'guided_json',
      ]),
    )
    assert.deepEqual(
      sent({ sampling: { presencePenalty: 0, repetitionPenalty: 1, logprobs: false, n: 1 } }).lost,
      [],
    )
  })

  it('a request for several choices is rejected', () => {
    assert.equal(
      refusedAt(() => sent({ sampling: { n: 2 } })),
      'n',
    )
  })

  it('Anthropic’s own fields are passed on', () => {
    assert.deepEqual(sent({ extras: { context_management: { edits: [] } } }).body.context_management, {
      edits: [],
    })
  })
})

describe('tools', () => {
  it('tools have an object schema, and the choice has Anthropic’s names', () => {
    const { body } = sent({ tools: [tool, { name: 'now', strict: true }], toolChoice: 'required' })
    assert.deepEqual(body.tools, [
      { name: 'get_weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } },
      { name: 'now', input_schema: { type: 'object', properties: {} }, strict: true },
    ])
    assert.deepEqual(body.tool_choice, { type: 'any' })
    assert.deepEqual(sent({ tools: [tool], toolChoice: 'none' }).body.tool_choice, { type: 'none' })
    assert.deepEqual(sent({ tools: [tool], toolChoice: { name: 'get_weather' } }).body.tool_choice, {
      type: 'tool',
      name: 'get_weather',
    })
    assert.equal('tool_choice' in sent({ tools: [tool] }).body, false)
  })

  it('the limit to one call is part of the tool choice', () => {
    assert.deepEqual(sent({ tools: [tool], parallelToolCalls: false }).body.tool_choice, {
      type: 'auto',
      disable_parallel_tool_use: true,
    })
    assert.equal('tool_choice' in sent({ tools: [tool], parallelToolCalls: true }).body, false)
  })

  it('tools called before are defined but not callable if the request offers none', () => {
    const { body } = sent({
      messages: [
        { role: 'user', parts: [{ type: 'text', text: 'Hi' }] },
        { role: 'assistant', parts: [], reasoning: '', toolCalls: [{ id: 'a', name: 'f', arguments: '{}' }] },
        { role: 'tool', callId: 'a', parts: [{ type: 'text', text: 'x' }] },
      ],
    })
    assert.deepEqual(body.tools, [{ name: 'f', input_schema: { type: 'object', properties: {} } }])
    assert.deepEqual(body.tool_choice, { type: 'none' })
  })
})

describe('structured output', () => {
  it('every object in a schema gets additionalProperties: false unless it is set', () => {
    const schema = {
      type: 'object',
      properties: {
        properties: { type: 'object', properties: { a: { type: 'string' } } },
        list: {
          type: 'array',
          items: { anyOf: [{ type: 'object', additionalProperties: true }, { type: 'null' }] },
        },
      },
    }
    assert.deepEqual(sent({ responseFormat: { type: 'schema', schema, name: 'n' } }).body.output_config, {
      format: {
        type: 'json_schema',
        schema: {
          type: 'object',
          properties: {
            properties: {
              type: 'object',
              properties: { a: { type: 'string' } },
              additionalProperties: false,
            },
            list: {
              type: 'array',
              items: { anyOf: [{ type: 'object', additionalProperties: true }, { type: 'null' }] },
            },
          },
          additionalProperties: false,
        },
      },
    })
  })

  it('JSON without a schema is requested in the system prompt, and reported', () => {
    const { body, lost } = sent({ responseFormat: { type: 'json' } })
    assert.match(JSON.stringify(body.system), /JSON object/)
    assert.equal('output_config' in body, false)
    assert.deepEqual(lost, ['response_format'])
    assert.equal('system' in sent({ responseFormat: { type: 'text' } }).body, false)
  })
})

describe('reasoning', () => {
  const thinkingOf = (changes: Partial<ChatRequest>) => {
    const { body, lost } = sent(changes)
    return { thinking: body.thinking, max: body.max_tokens, lost }
  }

  it('a level becomes a budget, and the limit is raised only if the budget leaves no room', () => {
    const enabled = (budget_tokens: number) => ({ type: 'enabled', budget_tokens })
    const sampling = { maxTokens: 5_000 }
    assert.deepEqual(thinkingOf({ reasoningEffort: 'medium', sampling }), {
      thinking: enabled(4_096),
      max: 5_000,
      lost: [],
    })
    assert.deepEqual(thinkingOf({ reasoningEffort: 'high', sampling }), {
      thinking: enabled(16_384),
      max: 21_384,
      lost: [],
    })
    assert.deepEqual(
      thinkingOf({ reasoningEffort: 'high', reasoningBudget: 2_000, sampling }).thinking,
      enabled(2_000),
    )
    assert.deepEqual(thinkingOf({ reasoningEffort: 'low', reasoningBudget: 10 }).thinking, enabled(1_024))
  })

  it('the level none disables thinking, no level sets nothing, and the highest levels are sent as effort', () => {
    assert.deepEqual(thinkingOf({ reasoningEffort: 'none' }).thinking, { type: 'disabled' })
    assert.equal('thinking' in sent().body, false)
    const { body } = sent({ reasoningEffort: 'xhigh' })
    assert.deepEqual([body.thinking, body.output_config], [{ type: 'adaptive' }, { effort: 'xhigh' }])
  })

  it('sampling that Anthropic forbids with thinking is dropped and reported', () => {
    const { body, lost } = sent({
      reasoningEffort: 'low',
      sampling: { temperature: 0.2, topP: 0.5, topK: 4, stop: ['END'] },
    })
    assert.deepEqual(lost, ['temperature', 'top_p', 'top_k'])
    for (const name of lost) assert.equal(name in body, false, name)
    assert.deepEqual(body.stop_sequences, ['END'])
    assert.deepEqual(sent({ reasoningEffort: 'low', sampling: { temperature: 1, topP: 0.98 } }).lost, [])
  })

  it('thinking is dropped and reported if a tool must be called', () => {
    const { thinking, lost } = thinkingOf({ reasoningEffort: 'low', tools: [tool], toolChoice: 'required' })
    assert.equal(thinking, undefined)
    assert.deepEqual(lost, ['reasoning_effort'])
  })

  it('thinking continues after a tool call only if the thinking that led to the call is sent', () => {
    const loop = (signature?: string): Partial<ChatRequest> => ({
      reasoningEffort: 'low',
      tools: [tool],
      messages: [
        { role: 'user', parts: [{ type: 'text', text: 'Hi' }] },
        {
          role: 'assistant',
          parts: [],
          reasoning: 'plan',
          ...(signature === undefined ? {} : { reasoningSignature: signature }),
          toolCalls: [{ id: 'a', name: 'get_weather', arguments: '{}' }],
        },
        { role: 'tool', callId: 'a', parts: [{ type: 'text', text: 'x' }] },
      ],
    })
    assert.equal(thinkingOf(loop()).thinking, undefined)
    assert.deepEqual(thinkingOf(loop()).lost, ['messages.reasoning', 'reasoning_effort'])
    assert.deepEqual(thinkingOf(loop('c2ln')), {
      thinking: { type: 'enabled', budget_tokens: 1_536 },
      max: undefined,
      lost: [],
    })
  })
})
