import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readRequest } from '../../../src/dialects/anthropic/request/read.ts'
import { hi, readMembers, refusedAt } from './support.ts'

const weather = {
  name: 'get_weather',
  description: 'Weather',
  input_schema: { type: 'object', properties: {} },
}

describe('the fields of a request', () => {
  it('fields are read under their canonical names, and token counts of a stream are always requested', () => {
    const body = {
      model: 'm',
      max_tokens: 100,
      messages: [hi],
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      stop_sequences: ['END', ''],
      metadata: { user_id: 'u1' },
      stream: true,
    }
    assert.deepEqual(readRequest(body, true), {
      model: 'm',
      stream: true,
      includeUsage: true,
      messages: [{ role: 'user', parts: [{ type: 'text', text: 'Hi' }] }],
      continuesAnswer: true,
      tools: [],
      sampling: { maxTokens: 100, temperature: 0.5, topP: 0.9, topK: 40, stop: ['END'] },
      user: 'u1',
      extras: {},
    })
  })

  it('unknown fields are kept', () => {
    assert.deepEqual(readMembers({ service_tier: 'auto', container: null }).extras, { service_tier: 'auto' })
  })

  it('a missing max_tokens is rejected', () => {
    assert.equal(
      refusedAt(() => readMembers({ max_tokens: undefined })),
      'max_tokens',
    )
  })

  it('a schema is read from output_config or from its older name', () => {
    const format = { type: 'json_schema', schema: { type: 'object' } }
    const expected = { type: 'schema', schema: { type: 'object' } }
    assert.deepEqual(readMembers({ output_config: { format } }).responseFormat, expected)
    assert.deepEqual(readMembers({ output_format: format }).responseFormat, expected)
    assert.equal(
      refusedAt(() => readMembers({ output_config: { format: { type: 'xml' } } })),
      'output_config.format',
    )
  })
})

describe('system prompt', () => {
  const system = (value: unknown) => readMembers({ system: value }).messages[0]

  it('the system prompt is one message, from a string or from its text blocks', () => {
    assert.deepEqual(system('Be brief'), {
      role: 'system',
      developer: false,
      parts: [{ type: 'text', text: 'Be brief' }],
    })
    const blocks = [
      { type: 'text', text: 'A', cache_control: { type: 'ephemeral' } },
      { type: 'text', text: 'B' },
    ]
    assert.deepEqual(system(blocks), {
      role: 'system',
      developer: false,
      parts: [
        { type: 'text', text: 'A', cacheControl: { type: 'ephemeral' } },
        { type: 'text', text: 'B' },
      ],
    })
  })

  it('the billing block that would invalidate the prompt cache is removed', () => {
    const billing = { type: 'text', text: 'x-anthropic-billing-header: cc_version=1; cch=abc' }
    assert.equal(system([billing])?.role, 'user')
    const read = system([billing, { type: 'text', text: 'A' }])
    assert.deepEqual(read?.parts, [{ type: 'text', text: 'A' }])
  })

  it('a system message in the middle of a conversation keeps its position', () => {
    const roles = readMembers({ messages: [hi, { role: 'system', content: 'Now brief' }, hi] }).messages
    assert.deepEqual(
      roles.map(({ role }) => role),
      ['user', 'system', 'user'],
    )
  })
})

describe('tools', () => {
  it('tools are read with their schema, whether their type is absent, null or custom', () => {
    for (const type of [undefined, null, 'custom']) {
      assert.deepEqual(
        readMembers({ tools: [{ ...weather, ...(type === undefined ? {} : { type }) }] }).tools,
        [{ name: 'get_weather', description: 'Weather', parameters: { type: 'object', properties: {} } }],
      )
    }
  })

  it('Anthropic’s own tools are dropped and reported, and rejected if there are no others', () => {
    const search = { type: 'web_search_20250305', name: 'web_search' }
    const read = readMembers({ tools: [search, weather] })
    assert.deepEqual(
      read.tools.map(({ name }) => name),
      ['get_weather'],
    )
    assert.ok('tools.web_search_20250305' in read.extras)
    assert.equal(
      refusedAt(() => readMembers({ tools: [search] })),
      'tools',
    )
  })

  it('tool choices are read, and disable_parallel_tool_use is inverted', () => {
    const choose = (tool_choice: object) => {
      const { toolChoice, parallelToolCalls } = readMembers({ tools: [weather], tool_choice })
      return [toolChoice, parallelToolCalls]
    }
    assert.deepEqual(choose({ type: 'auto', disable_parallel_tool_use: true }), ['auto', false])
    assert.deepEqual(choose({ type: 'any', disable_parallel_tool_use: false }), ['required', true])
    assert.deepEqual(choose({ type: 'none' }), ['none', undefined])
    assert.deepEqual(choose({ type: 'tool', name: 'get_weather' }), [{ name: 'get_weather' }, undefined])
    assert.equal(
      refusedAt(() => choose({ type: 'tool', name: 'other' })),
      'tool_choice.name',
    )
    assert.equal(
      refusedAt(() => choose({ type: 'maybe' })),
      'tool_choice.type',
    )
  })
})

describe('thinking', () => {
  const reasoning = (members: object) => {
    const { reasoningEffort, reasoningBudget } = readMembers({ ...members })
    return [reasoningEffort, reasoningBudget]
  }

  it('a thinking budget becomes a level and is kept as a number', () => {
    const withBudget = (budget_tokens: number) => reasoning({ thinking: { type: 'enabled', budget_tokens } })
    assert.deepEqual(withBudget(1_024), ['low', 1_024])
    assert.deepEqual(withBudget(4_096), ['medium', 4_096])
    assert.deepEqual(withBudget(8_192), ['high', 8_192])
    assert.deepEqual(withBudget(40_000), ['high', 40_000])
  })

  it('disabled thinking is no reasoning, adaptive thinking uses the effort, and the effort can be set alone', () => {
    assert.deepEqual(reasoning({}), [undefined, undefined])
    assert.deepEqual(reasoning({ thinking: { type: 'disabled' }, output_config: { effort: 'high' } }), [
      'none',
      undefined,
    ])
    assert.deepEqual(reasoning({ thinking: { type: 'adaptive' } }), ['on', undefined])
    assert.deepEqual(reasoning({ thinking: { type: 'adaptive' }, output_config: { effort: 'xhigh' } }), [
      'xhigh',
      undefined,
    ])
    assert.deepEqual(reasoning({ output_config: { effort: 'low' } }), ['low', undefined])
    assert.equal(
      refusedAt(() => reasoning({ output_config: { effort: 'huge' } })),
      'output_config.effort',
    )
  })
})
