import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readUsage } from '../../../src/dialects/openai/response/fields-read.ts'
import { readResponse } from '../../../src/dialects/openai/response/read.ts'
import { writeResponse } from '../../../src/dialects/openai/response/write.ts'
import type { ChatResponse } from '../../../src/sdk/chat.ts'
import { RouterError } from '../../../src/sdk/errors.ts'
import { context } from '../shared/codec.ts'

function answer(message: object, choice: object = {}): Record<string, unknown> {
  return {
    id: 'chatcmpl-up',
    created: 7,
    model: 'up',
    choices: [{ index: 0, message, finish_reason: 'stop', ...choice }],
  }
}

function read(body: unknown): ChatResponse {
  let count = 0
  return readResponse(body, () => `made_${count++}`)
}

function failureOf(body: unknown): RouterError {
  try {
    read(body)
  } catch (error) {
    assert.ok(error instanceof RouterError)
    return error
  }
  return assert.fail('must be rejected')
}

describe('reading a whole response', () => {
  it('a response is read with its text, token counts and token probabilities', () => {
    const logprobs = { content: [{ token: 'Hi', logprob: -0.1 }], refusal: null }
    const usage = {
      prompt_tokens: 9,
      completion_tokens: 4,
      total_tokens: 13,
      prompt_tokens_details: { cached_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 3 },
    }
    const body = {
      ...answer({ role: 'assistant', content: 'Hi' }, { logprobs }),
      usage,
      system_fingerprint: 'fp',
    }
    assert.deepEqual(read(body), {
      id: 'chatcmpl-up',
      created: 7,
      systemFingerprint: 'fp',
      choices: [
        {
          index: 0,
          text: 'Hi',
          reasoning: '',
          toolCalls: [],
          finishReason: 'stop',
          logprobs: [{ token: 'Hi', logprob: -0.1, bytes: null, topLogprobs: [] }],
        },
      ],
      usage: { promptTokens: 9, completionTokens: 4, cachedTokens: 8, reasoningTokens: 3 },
    })
  })

  it('a response is read even if the server omits fields', () => {
    const body = { choices: [{ message: { content: null, reasoning: 'hm' } }] }
    assert.deepEqual(read(body), {
      choices: [{ index: 0, text: '', reasoning: 'hm', toolCalls: [], finishReason: 'stop' }],
    })
  })

  it('tool calls have ids and the JSON of an object as arguments, whatever the server sent', () => {
    const tool_calls = [
      { id: 'a', function: { name: 'f', arguments: { x: 1 } } },
      { id: 'a', function: { name: 'g', arguments: '' } },
      { function: { name: 'h', arguments: null } },
    ]
    const [choice] = read(answer({ content: null, tool_calls })).choices
    assert.deepEqual(choice?.toolCalls, [
      { id: 'a', name: 'f', arguments: '{"x":1}' },
      { id: 'made_0', name: 'g', arguments: '{}' },
      { id: 'made_1', name: 'h', arguments: '{}' },
    ])
    assert.equal(choice?.finishReason, 'tool_calls', 'a stop with calls becomes tool_calls')
  })

  it('every finish reason becomes one that clients know', () => {
    const reasonOf = (finish_reason: unknown): unknown =>
      read(answer({ content: 'a' }, { finish_reason })).choices[0]?.finishReason
    assert.deepEqual(['length', 'content_filter', 'function_call', 'eos', null, ''].map(reasonOf), [
      'length',
      'content_filter',
      'stop',
      'stop',
      'stop',
      'stop',
    ])
  })

  it('an error in any form is rejected, and its text is only in the cause', () => {
    for (const body of [
      { error: { message: 'at 10.0.0.1' } },
      { error: 'at 10.0.0.1' },
      { object: 'error', message: 'at 10.0.0.1' },
    ]) {
      const error = failureOf(body)
      assert.equal(error.kind, 'upstream_error')
      assert.equal(error.causeCode, 'UPSTREAM_ERROR')
      assert.doesNotMatch(error.message, /10\.0/)
    }
  })

  it('a response is accepted whatever the model wrote: truncated or odd arguments, nameless calls, or nothing', () => {
    const argumentsOf = (value: unknown): string | undefined =>
      read(answer({ tool_calls: [{ function: { name: 'f', arguments: value } }] })).choices[0]?.toolCalls[0]
        ?.arguments
    assert.deepEqual(['{"a": "lo', '[', '"x"', [1], { a: 1 }, null, undefined].map(argumentsOf), [
      '{"a": "lo',
      '[',
      '"x"',
      '[1]',
      '{"a":1}',
      '{}',
      '{}',
    ])
    const custom = { id: 'c', type: 'custom', custom: { name: 'py', input: 'print("1")' } }
    const nothing = [{ id: 'd', type: 'function', function: { arguments: '{}' } }, { type: 'mcp' }]
    assert.deepEqual(read(answer({ tool_calls: [custom, ...nothing] })).choices[0]?.toolCalls, [
      { id: 'c', name: 'py', arguments: '{"input":"print(\\"1\\")"}' },
    ])
    for (const choices of [[], [{}], [{ message: null }], [{ message: { content: [{ type: 'new' }] } }]]) {
      const [choice] = read({ choices }).choices
      assert.deepEqual([choice?.text, choice?.finishReason], ['', 'stop'])
    }
  })

  it('a body that is not a response is an error', () => {
    const none = [null, 'text', {}, { choices: {} }]
    for (const body of none) assert.equal(failureOf(body).causeCode, 'BAD_ANSWER', JSON.stringify(body))
    assert.equal(
      failureOf(answer({ content: 'a' }, { finish_reason: 'abort' })).causeCode,
      'UPSTREAM_ABORTED',
    )
  })
})

describe('writing a whole response', () => {
  it('a written response has the exact OpenAI form', () => {
    const response: ChatResponse = {
      choices: [{ index: 0, text: 'Hi', reasoning: '', toolCalls: [], finishReason: 'stop' }],
      usage: { promptTokens: 2, completionTokens: 3 },
    }
    assert.deepEqual(writeResponse(response, context), {
      id: `chatcmpl-${context.id}`,
      object: 'chat.completion',
      created: context.created,
      model: 'alias',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hi', refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
    })
  })

  it('a written response keeps an id of this dialect, the time and the fingerprint of its upstream', () => {
    const choices = [{ index: 0, text: 'a', reasoning: '', toolCalls: [], finishReason: 'stop' as const }]
    const written = writeResponse({ id: 'chatcmpl-x', created: 5, systemFingerprint: 'fp', choices }, context)
    assert.deepEqual([written.id, written.created, written.system_fingerprint], ['chatcmpl-x', 5, 'fp'])
    assert.equal(writeResponse({ id: 'x', choices }, context).id, `chatcmpl-${context.id}`)
  })

  it('a response with only calls has no content, and reasoning has both names', () => {
    const toolCalls = [{ id: 'a', name: 'f', arguments: '{}' }]
    const response: ChatResponse = {
      choices: [{ index: 0, text: '', reasoning: 'hm', toolCalls, finishReason: 'stop' }],
    }
    assert.deepEqual(writeResponse(response, context).choices, [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: null,
          refusal: null,
          annotations: [],
          reasoning_content: 'hm',
          reasoning: 'hm',
          tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        logprobs: null,
        finish_reason: 'tool_calls',
      },
    ])
  })

  it('a refusal is written as a refusal, without content', () => {
    const response: ChatResponse = {
      choices: [{ index: 0, text: '', reasoning: '', refusal: 'No', toolCalls: [], finishReason: 'stop' }],
    }
    const body = JSON.stringify(writeResponse(response, context))
    assert.match(body, /"content":null,"refusal":"No"/)
  })

  it('a written response reads back as its original', () => {
    const response: ChatResponse = {
      id: 'chatcmpl-x',
      created: 5,
      choices: [
        {
          index: 0,
          text: 'a',
          reasoning: 'r',
          toolCalls: [{ id: 'a', name: 'f', arguments: '{"x":1}' }],
          finishReason: 'tool_calls',
          logprobs: [
            { token: 'a', logprob: -1, bytes: [97], topLogprobs: [{ token: 'b', logprob: -2, bytes: null }] },
          ],
        },
        { index: 1, text: '', reasoning: '', refusal: 'No', toolCalls: [], finishReason: 'content_filter' },
      ],
      usage: { promptTokens: 2, completionTokens: 3, cachedTokens: 1, reasoningTokens: 2 },
    }
    assert.deepEqual(read(writeResponse(response, context)), response)
  })
})

it('token counts are read only from a whole response', () => {
  const usage = { prompt_tokens: 3, completion_tokens: 2 }
  assert.deepEqual(readUsage({ usage }), { promptTokens: 3, completionTokens: 2 })
  assert.deepEqual(readUsage({ usage: { prompt_tokens: 3, total_tokens: 5 } }), {
    promptTokens: 3,
    completionTokens: 2,
  })
  for (const body of [undefined, 'x', {}, { usage: null }, { usage: {} }]) {
    assert.equal(readUsage(body), undefined)
  }
})
