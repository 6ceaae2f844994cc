import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readMembers as read, refusedAt } from './requests.ts'

describe('the request as a whole', () => {
  it('a minimal body sets nothing that it does not contain', () => {
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

  it('model_name is used only if model is missing', () => {
    assert.equal(read({ model: undefined, model_name: 'old' }).model, 'old')
    assert.equal(read({ model: null, model_name: 'old' }).model, 'old')
    assert.equal(read({ model_name: 'old' }).model, 'm')
  })

  it('null fields count as absent', () => {
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

  it('max_completion_tokens overrides max_tokens, and -1 means no limit', () => {
    assert.equal(read({ max_tokens: 5, max_completion_tokens: 9 }).sampling.maxTokens, 9)
    assert.equal(read({ max_tokens: -1 }).sampling.maxTokens, undefined)
  })

  it('empty stop sequences are dropped', () => {
    assert.deepEqual(read({ stop: ['', 'a'] }).sampling.stop, ['a'])
    assert.equal(read({ stop: [''] }).sampling.stop, undefined)
  })

  it("LM Studio's name for the repetition penalty is also read", () => {
    assert.equal(read({ repeat_penalty: 1.2 }).sampling.repetitionPenalty, 1.2)
  })

  it('fields that the codec does not know are kept', () => {
    const { extras } = read({ guided_choice: ['a'], chat_template_kwargs: { x: 1 }, num_ctx: 4096 })
    assert.deepEqual(extras, { guided_choice: ['a'], chat_template_kwargs: { x: 1 }, num_ctx: 4096 })
  })

  it('a request for token counts in the stream is read', () => {
    assert.equal(read({ stream_options: { include_usage: true } }).includeUsage, true)
    assert.equal(read({ stream_options: { include_usage: false } }).includeUsage, false)
  })

  it("Ollama's own fields are read", () => {
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

  it("OpenAI's fields override Ollama's", () => {
    const request = read({
      reasoning_effort: 'low',
      think: true,
      response_format: { type: 'text' },
      format: 'json',
    })
    assert.equal(request.reasoningEffort, 'low')
    assert.deepEqual(request.responseFormat, { type: 'text' })
  })

  it('structured output keeps name, description and strict', () => {
    const json_schema = { name: 'n', description: 'd', schema: { type: 'object' }, strict: true }
    assert.deepEqual(read({ response_format: { type: 'json_schema', json_schema } }).responseFormat, {
      type: 'schema',
      ...json_schema,
    })
    assert.deepEqual(read({ response_format: { type: 'json_object' } }).responseFormat, { type: 'json' })
  })

  it('invalid fields are rejected with their path', () => {
    assert.equal(refusedAt({ reasoning_effort: 'huge' }), 'reasoning_effort')
    assert.equal(refusedAt({ response_format: { type: 'grammar' } }), 'response_format.type')
    assert.equal(refusedAt({ tool_choice: 'sometimes' }), 'tool_choice')
  })
})

describe('tools', () => {
  const f = { name: 'f', description: 'd', parameters: { type: 'object' }, strict: true }
  const tools = [
    { type: 'function', function: f },
    { type: 'function', function: { name: 'g' } },
  ]

  it('tool definitions and the tool choice are read', () => {
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

  it('the deprecated functions become tools', () => {
    const request = read({ functions: [f], function_call: { name: 'f' } })
    assert.deepEqual([request.tools, request.toolChoice], [[f], { name: 'f' }])
    assert.equal(read({ functions: [f], function_call: 'none' }).toolChoice, 'none')
  })

  it('a tool of an unknown type and a choice of a tool that is not offered are rejected', () => {
    assert.equal(refusedAt({ tools: [{ type: 'odd', odd: { name: 'c' } }] }), 'tools[0].type')
    assert.equal(
      refusedAt({ tools, tool_choice: { type: 'function', function: { name: 'x' } } }),
      'tool_choice.function.name',
    )
  })
})
