import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readMembers, refusal, refusedAt } from './support.ts'

const fn = { type: 'function', name: 'f', parameters: { type: 'object' }, strict: true }

describe('fields other than the input', () => {
  it('instructions become the first message, with the role system', () => {
    assert.deepEqual(readMembers({ instructions: 'Be brief' }).messages, [
      { role: 'system', developer: false, parts: [{ type: 'text', text: 'Be brief' }] },
      { role: 'user', parts: [{ type: 'text', text: 'Hi' }] },
    ])
  })

  it('sampling and limits keep their values, and nothing is added', () => {
    assert.deepEqual(readMembers({ max_output_tokens: 50, temperature: 0.2, top_p: 0.9 }).sampling, {
      maxTokens: 50,
      temperature: 0.2,
      topP: 0.9,
    })
    assert.deepEqual(readMembers({ temperature: null }).sampling, {})
  })

  it('token probabilities are requested by include or by a number', () => {
    const include = ['message.output_text.logprobs']
    assert.deepEqual(readMembers({ include, top_logprobs: 2 }).sampling, { logprobs: true, topLogprobs: 2 })
    assert.deepEqual(readMembers({ include }).sampling, { logprobs: true })
    assert.deepEqual(readMembers({ top_logprobs: 3 }).sampling, { logprobs: true, topLogprobs: 3 })
    assert.deepEqual(readMembers({ top_logprobs: 0 }).sampling, {})
  })

  it('the text format is read with its flat schema', () => {
    const schema = { type: 'object', properties: {} }
    const format = { type: 'json_schema', name: 'city', schema, strict: true }
    assert.deepEqual(readMembers({ text: { format } }).responseFormat, {
      type: 'schema',
      schema,
      name: 'city',
      strict: true,
    })
    assert.deepEqual(readMembers({ text: { format: { type: 'json_object' } } }).responseFormat, {
      type: 'json',
    })
    assert.equal(refusedAt({ text: { format: { type: 'json_schema' } } }), 'text.format.schema')
    assert.equal(refusedAt({ text: { format: { type: 'xml' } } }), 'text.format.type')
  })

  it('the reasoning effort must be a known level', () => {
    assert.equal(readMembers({ reasoning: { effort: 'low', summary: 'auto' } }).reasoningEffort, 'low')
    assert.equal(readMembers({ reasoning: { effort: null } }).reasoningEffort, undefined)
    assert.equal(refusedAt({ reasoning: { effort: 'much' } }), 'reasoning.effort')
  })

  it('token counts are always part of the response', () => {
    assert.equal(readMembers({}).includeUsage, true)
  })

  it('fields that cannot be translated are kept by name, to be reported', () => {
    const { extras, verbosity } = readMembers({
      service_tier: 'flex',
      text: { verbosity: 'low' },
      reasoning: { effort: 'low', context: 'all' },
      include: ['reasoning.encrypted_content', 'web_search_call.results'],
      truncation: 'auto',
      store: false,
      metadata: { a: 'b' },
    })
    assert.deepEqual(Object.keys(extras).sort(), [
      'include.web_search_call.results',
      'reasoning.context',
      'service_tier',
      'truncation',
    ])
    assert.equal(verbosity, 'low')
    assert.deepEqual(readMembers({ truncation: 'disabled', service_tier: null }).extras, {})
  })

  it('fields that would lose the conversation or never yield a response are rejected with their name', () => {
    const members = {
      conversation: 'conv_1',
      background: true,
      prompt: { id: 'p' },
      previous_response_id: 'resp_1',
    }
    for (const [name, value] of Object.entries(members)) {
      const error = refusal({ [name]: value })
      assert.equal(error.param, name)
      assert.equal(error.code, 'unsupported_parameter')
    }
    assert.equal(readMembers({ background: false, conversation: null }).messages.length, 1)
  })

  it('a request without any input is rejected', () => {
    assert.equal(refusedAt({ input: undefined }), 'input')
    assert.equal(refusedAt({ input: [] }), 'input')
    assert.equal(readMembers({ input: [], instructions: 'Begin' }).messages.length, 1)
  })
})

describe('tools', () => {
  it('flat functions are read, and strict only if it is set', () => {
    const { tools } = readMembers({
      tools: [
        { ...fn, description: 'd' },
        { type: 'function', name: 'g' },
      ],
    })
    assert.deepEqual(tools, [
      { name: 'f', description: 'd', parameters: { type: 'object' }, strict: true },
      { name: 'g' },
    ])
  })

  it('a custom tool becomes a function with one string', () => {
    const { tools, extras } = readMembers({
      tools: [
        {
          type: 'custom',
          name: 'patch',
          description: 'Patches',
          format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
        },
      ],
    })
    assert.deepEqual(tools[0]?.parameters?.required, ['input'])
    assert.match(tools[0]?.description ?? '', /^Patches\n\n.*lark grammar:\nstart: "x"$/s)
    assert.deepEqual(Object.keys(extras), ['tools.patch.format'])
  })

  it("OpenAI's own tools are reported, and rejected if one must be called", () => {
    const tools = [{ type: 'web_search' }, fn]
    const request = readMembers({ tools })
    assert.deepEqual(
      request.tools.map(({ name }) => name),
      ['f'],
    )
    assert.deepEqual(request.extras, { 'tools.web_search': { type: 'web_search' } })
    assert.equal(refusedAt({ tools, tool_choice: { type: 'web_search' } }), 'tool_choice')
    assert.equal(refusedAt({ tools: [{ type: 'web_search' }], tool_choice: 'required' }), 'tool_choice')
  })

  it('a tool choice has its name at the top level', () => {
    assert.deepEqual(readMembers({ tools: [fn], tool_choice: { type: 'function', name: 'f' } }).toolChoice, {
      name: 'f',
    })
    assert.equal(readMembers({ tools: [fn], tool_choice: 'auto' }).toolChoice, 'auto')
    assert.equal(refusedAt({ tools: [fn], tool_choice: { type: 'function', name: 'x' } }), 'tool_choice.name')
    assert.equal(refusedAt({ tools: [fn], tool_choice: 'sometimes' }), 'tool_choice')
  })

  it('allowed tools are the only ones offered', () => {
    const { tools, toolChoice } = readMembers({
      tools: [fn, { type: 'function', name: 'g' }],
      tool_choice: { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'g' }] },
    })
    assert.deepEqual(tools, [{ name: 'g' }])
    assert.equal(toolChoice, 'required')
  })

  it('a tool without a name is rejected with its path', () => {
    assert.equal(refusedAt({ tools: [{ type: 'web_search' }, { type: 'function' }] }), 'tools[1].name')
  })
})
