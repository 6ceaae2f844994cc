import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { loadAnswer } from '../../../src/dialects/ollama/generate.ts'
import { ollama } from '../../../src/dialects/ollama/index.ts'
import { readUsage } from '../../../src/dialects/ollama/response/fields-read.ts'
import type { ChatChoice, ChatResponse } from '../../../src/sdk/chat.ts'
import { RouterError } from '../../../src/sdk/errors.ts'
import { contextAt } from './support.ts'

const { readResponse, writeResponse } = ollama.chat
const message = { role: 'assistant', content: 'Hi' }

function isUpstreamError(error: unknown): boolean {
  return error instanceof RouterError && error.kind === 'upstream_error'
}

describe('reading a whole response', () => {
  test('probabilities are those of the text, as in a stream, not of the reasoning before it', () => {
    const tokensOf = (logprobs: object[], members: object) =>
      readResponse({ message: { ...message, ...members }, logprobs, done: true }).choices[0]?.logprobs?.map(
        ({ token }) => token,
      )
    const [plan, end, hi] = [{ token: 'plan' }, { token: '</think>' }, { token: 'Hi' }]
    const cut = [0xf0, 0x9f, 0x98, 0x80].map((byte) => ({ token: '\ufffd', logprob: -1, bytes: [byte] }))
    assert.deepEqual(tokensOf([plan, end, hi], { thinking: 'plan' }), ['Hi'])
    assert.equal(tokensOf([plan, ...cut], { thinking: 'plan', content: '😀' })?.length, 4)
    assert.equal(tokensOf([plan], { thinking: 'plan', content: '' }), undefined)
    assert.deepEqual(tokensOf([hi], {}), ['Hi'])
  })

  test('text, reasoning, calls, counts, durations and the creation time are read', () => {
    const response = readResponse({
      model: 'm',
      created_at: '2026-11-23T10:00:00.999999999Z',
      message: {
        role: 'assistant',
        content: 'Hi',
        thinking: 'plan',
        tool_calls: [{ id: 'call_a', function: { index: 0, name: 'f', arguments: { a: 1 } } }],
      },
      done: true,
      done_reason: 'stop',
      total_duration: 900,
      load_duration: 100,
      prompt_eval_count: 9,
      prompt_eval_duration: 200,
      eval_count: 5,
      eval_duration: 500,
    })
    assert.deepEqual(response, {
      created: Date.UTC(2026, 10, 23, 10) / 1000,
      choices: [
        {
          index: 0,
          text: 'Hi',
          reasoning: 'plan',
          toolCalls: [{ id: 'call_a', name: 'f', arguments: '{"a":1}' }],
          finishReason: 'tool_calls',
        },
      ],
      usage: { promptTokens: 9, completionTokens: 5 },
      timings: { totalNs: 900, loadNs: 100, promptNs: 200, completionNs: 500 },
    })
  })

  test('calls without ids or with equal ids get different ids', () => {
    const call = (id?: string) => ({ ...(id ? { id } : {}), function: { name: 'f', arguments: null } })
    const { choices } = readResponse({
      message: { tool_calls: [call(), call(), call('x'), call('x')] },
      done: true,
    })
    const ids = choices[0]?.toolCalls.map(({ id }) => id) ?? []
    assert.equal(new Set(ids).size, 4)
    assert.equal(ids[2], 'x')
    for (const id of [ids[0], ids[1], ids[3]]) assert.match(String(id), /^call_[0-9a-f]{24}$/)
    assert.equal(choices[0]?.toolCalls[0]?.arguments, '{}')
  })

  test('a truncated response finishes with length even after a tool call, and an unknown reason is a stop', () => {
    const toolCalls = [{ function: { name: 'f', arguments: {} } }]
    const cut = readResponse({
      message: { ...message, tool_calls: toolCalls },
      done: true,
      done_reason: 'length',
    })
    assert.equal(cut.choices[0]?.finishReason, 'length')
    assert.equal(readResponse({ message, done: true, done_reason: 'whim' }).choices[0]?.finishReason, 'stop')
  })

  test('a missing count is zero if there is any other metric, and unknown if there is none', () => {
    assert.deepEqual(readUsage({ eval_count: 3 }), { promptTokens: 0, completionTokens: 3 })
    assert.deepEqual(readUsage({ total_duration: 3 }), { promptTokens: 0, completionTokens: 0 })
    assert.equal(readUsage({ message }), undefined)
    assert.equal(readUsage('x'), undefined)
  })

  test('an error with a success status is an upstream error, and its text is only in the cause', () => {
    assert.throws(
      () => readResponse({ error: 'CUDA error at 10.0.0.7' }),
      (error) => {
        assert.ok(error instanceof RouterError)
        assert.equal(error.kind, 'upstream_error')
        assert.equal(error.message, 'The upstream reported an error')
        assert.deepEqual(error.cause, { message: 'CUDA error at 10.0.0.7' })
        return true
      },
    )
  })

  const broken: [string, unknown][] = [
    ['a body that is not an object', 'Hi'],
    ['a body without a message', { model: 'm', done: true }],
    ['an unfinished response without text', { message: { content: '' }, done: false }],
    ['content that is not a string', { message: { content: ['Hi'] }, done: true }],
    ['a load response', { message: { content: '' }, done: true, done_reason: 'load' }],
  ]
  test('a response that the engine stopped because it repeated itself was truncated', () => {
    assert.equal(readResponse({ message, done: false }).choices[0]?.finishReason, 'length')
  })

  test('calls are read whatever the model wrote, and one without a name is ignored', () => {
    const given = ['{"a":', [1], { a: 1 }, null].map((value) => ({
      function: { name: 'f', arguments: value },
    }))
    const calls = readResponse({ message: { tool_calls: [...given, { function: {} }] }, done: true })
      .choices[0]?.toolCalls
    assert.deepEqual(
      calls?.map((call) => call.arguments),
      ['{"a":', '[1]', '{"a":1}', '{}'],
    )
  })

  for (const [name, body] of broken) {
    test(`${name} is an upstream error`, () => assert.throws(() => readResponse(body), isUpstreamError))
  }
})

function response(choice: Partial<ChatChoice>, rest: Omit<ChatResponse, 'choices'> = {}): ChatResponse {
  return {
    choices: [{ index: 0, text: 'Hi', reasoning: '', toolCalls: [], finishReason: 'stop', ...choice }],
    ...rest,
  }
}

describe('writing a whole response', () => {
  const context = contextAt({ ms: 500 })

  test('a response with the engine’s durations has exactly Ollama’s members', () => {
    const written = writeResponse(
      response(
        {
          reasoning: 'plan',
          toolCalls: [{ id: 'a', name: 'f', arguments: '{"x":1}' }],
          finishReason: 'tool_calls',
        },
        {
          usage: { promptTokens: 9, completionTokens: 5, reasoningTokens: 2 },
          timings: { totalNs: 900, loadNs: 0, promptNs: 200, completionNs: 500 },
        },
      ),
      context,
    )
    assert.deepEqual(written, {
      model: 'alias',
      created_at: '2026-11-23T10:00:00.500Z',
      message: {
        role: 'assistant',
        content: 'Hi',
        thinking: 'plan',
        tool_calls: [{ id: 'a', function: { index: 0, name: 'f', arguments: { x: 1 } } }],
      },
      done: true,
      done_reason: 'stop',
      total_duration: 900,
      prompt_eval_count: 9,
      prompt_eval_duration: 200,
      eval_count: 5,
      eval_duration: 500,
    })
  })

  test('without the engine’s durations, the measured time is split, in whole nanoseconds', () => {
    const written = writeResponse(response({}, { usage: { promptTokens: 9, completionTokens: 7 } }), context)
    const { total_duration: total, prompt_eval_duration: prompt, eval_duration: completion } = written
    assert.equal(total, 500_000_000)
    assert.ok(Number.isInteger(prompt) && Number.isInteger(completion))
    assert.ok(Number(prompt) > 0 && Number(completion) > Number(prompt))
    assert.ok(Math.abs(Number(prompt) + Number(completion) - 500_000_000) <= 1)
  })

  test('a duration is never zero if tokens were counted, and zero counts are left out', () => {
    const usage = { promptTokens: 0, completionTokens: 3 }
    const written = writeResponse(response({}, { usage, timings: { completionNs: 0 } }), contextAt({ ms: 0 }))
    assert.equal(written.eval_duration, 1)
    assert.equal('prompt_eval_count' in written || 'prompt_eval_duration' in written, false)
    assert.equal('eval_count' in writeResponse(response({}), context), false)
  })

  test('length and content_filter are written as done_reason', () => {
    assert.equal(writeResponse(response({ finishReason: 'length' }), context).done_reason, 'length')
    assert.equal(
      writeResponse(response({ finishReason: 'content_filter' }), context).done_reason,
      'content_filter',
    )
  })

  test('a refusal becomes content, after the text that the model wrote before it', () => {
    const written = (text: string) => writeResponse(response({ text, refusal: 'No.' }), context).message
    assert.deepEqual(written(''), { role: 'assistant', content: 'No.' })
    assert.deepEqual(written('Well. '), { role: 'assistant', content: 'Well. No.' })
  })

  test('the arguments of a truncated call have the members received so far', () => {
    const argumentsOf = (json: string): unknown => {
      const toolCalls = [{ id: 'a', name: 'f', arguments: json }]
      const { message: written } = writeResponse(response({ toolCalls }), context)
      return JSON.parse(JSON.stringify(written)).tool_calls[0].function.arguments
    }
    assert.deepEqual(argumentsOf('{"a":1,"cut":'), { a: 1 })
    assert.deepEqual(argumentsOf('[1]'), { invalid_arguments: '[1]' })
    assert.deepEqual(argumentsOf(''), {})
  })

  test('token probabilities are written beside the message', () => {
    const logprobs = [
      { token: 'H', logprob: -1, bytes: [72], topLogprobs: [{ token: 'h', logprob: -2, bytes: null }] },
      { token: 'i', logprob: -1, bytes: null, topLogprobs: [] },
    ]
    assert.deepEqual(writeResponse(response({ logprobs }), context).logprobs, [
      { token: 'H', logprob: -1, bytes: [72], top_logprobs: [{ token: 'h', logprob: -2 }] },
      { token: 'i', logprob: -1 },
    ])
  })
})

test('a chat without messages returns an empty message with done', () => {
  assert.deepEqual(loadAnswer('alias', new Date(Date.UTC(2026, 10, 23)), 'unload'), {
    model: 'alias',
    created_at: '2026-11-23T00:00:00.000Z',
    message: { role: 'assistant', content: '' },
    done: true,
    done_reason: 'unload',
  })
})
