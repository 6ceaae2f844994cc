import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readResponse, readUsage } from '../../../src/dialects/responses/response/read.ts'
import { writeResponse } from '../../../src/dialects/responses/response/write.ts'
import type { ChatChoice } from '../../../src/sdk/chat.ts'
import { RouterError } from '../../../src/sdk/errors.ts'
import { context, countingIds, type Json } from './support.ts'

const full: ChatChoice = {
  index: 0,
  text: 'Hi',
  reasoning: 'plan',
  toolCalls: [{ id: 'call_1', name: 'f', arguments: '{"a":1}' }],
  finishReason: 'tool_calls',
}

const usage = {
  promptTokens: 9,
  completionTokens: 3,
  cachedTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 1,
}

function write(choice: Partial<ChatChoice>, request: Json = {}): Json {
  return writeResponse({ choices: [{ ...full, toolCalls: [], ...choice }], usage }, { ...context, request })
}

function outputOf(answer: Json): Json[] {
  assert.ok(Array.isArray(answer.output))
  return answer.output
}

describe('writing a whole response', () => {
  it('a response is reasoning, message and calls, each with its own id', () => {
    const answer = write(full)
    assert.deepEqual(answer.output, [
      {
        id: 'rs_0123456789abcdef01234567_0',
        type: 'reasoning',
        summary: [{ type: 'summary_text', text: 'plan' }],
      },
      {
        id: 'msg_0123456789abcdef01234567_1',
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'Hi', annotations: [], logprobs: [] }],
      },
      {
        id: 'fc_0123456789abcdef01234567_2',
        type: 'function_call',
        status: 'completed',
        call_id: 'call_1',
        name: 'f',
        arguments: '{"a":1}',
      },
    ])
    assert.equal(answer.status, 'completed')
    assert.equal(answer.object, 'response')
  })

  it('a response has no message if there are only line breaks before a call', () => {
    const items = outputOf(write({ ...full, reasoning: '', text: '\n\n' }))
    assert.deepEqual(
      items.map(({ type }) => type),
      ['function_call'],
    )
    assert.equal(outputOf(write({ text: '' })).length, 1)
    assert.equal(outputOf(write({ reasoning: '', text: '\n' })).length, 1)
  })

  it('a response that reached its limit is incomplete', () => {
    const answer = write({ finishReason: 'length' })
    assert.equal(answer.status, 'incomplete')
    assert.deepEqual(answer.incomplete_details, { reason: 'max_output_tokens' })
    assert.equal(outputOf(answer)[1]?.status, 'incomplete')
    const files = [{ mediaType: 'image/png', data: 'aW1n' }]
    const [text, image] = outputOf(write({ reasoning: '', files, finishReason: 'length' }))
    assert.deepEqual([text?.status, image?.status], ['completed', 'completed'])
  })

  it('the call of a custom tool is returned as free text', () => {
    const call = { id: 'call_1', name: 'patch', arguments: '{"input":"a\\nb"}' }
    const request = { tools: [{ type: 'custom', name: 'patch' }] }
    const [item] = outputOf(write({ text: '', reasoning: '', toolCalls: [call] }, request))
    assert.deepEqual([item?.type, item?.call_id, item?.input], ['custom_tool_call', 'call_1', 'a\nb'])
  })

  it('a written response reads back as its original', () => {
    const logprobs = [{ token: 'Hi', logprob: -0.5, bytes: [72, 105], topLogprobs: [] }]
    const choice = { ...full, refusal: 'No', logprobs }
    const answer = writeResponse({ choices: [choice], usage }, context)
    assert.deepEqual(readResponse(answer), {
      id: 'resp_0123456789abcdef01234567',
      created: 1_795_392_000,
      choices: [choice],
      usage,
    })
  })
})

describe('reading a whole response', () => {
  const message = { type: 'message', content: [{ type: 'output_text', text: 'Hi' }] }

  it('a response needs nothing but its output', () => {
    assert.deepEqual(readResponse({ output: [message] }).choices, [
      { index: 0, text: 'Hi', reasoning: '', toolCalls: [], finishReason: 'stop' },
    ])
  })

  it('calls without ids get generated ones', () => {
    const call = { type: 'function_call', name: 'f', arguments: '' }
    const calls = readResponse({ output: [call, { ...call, call_id: 'made_1' }] }, countingIds()).choices[0]
    assert.deepEqual(calls?.toolCalls, [
      { id: 'made_0', name: 'f', arguments: '{}' },
      { id: 'made_1', name: 'f', arguments: '{}' },
    ])
  })

  it('a truncated response has the finish reason of its truncation', () => {
    const cut = (reason: string): string | undefined =>
      readResponse({ status: 'incomplete', incomplete_details: { reason }, output: [message] }).choices[0]
        ?.finishReason
    assert.equal(cut('max_output_tokens'), 'length')
    assert.equal(cut('content_filter'), 'content_filter')
  })

  it('a response is accepted whatever the model wrote', () => {
    const argumentsOf = (item: object): unknown =>
      readResponse({ output: [{ name: 'f', ...item }] }).choices[0]?.toolCalls[0]?.arguments
    assert.equal(argumentsOf({ type: 'function_call', arguments: '{"a": "lo' }), '{"a": "lo')
    assert.equal(argumentsOf({ type: 'function_call', arguments: { a: 1 } }), '{"a":1}')
    assert.equal(argumentsOf({ type: 'function_call', name: '', arguments: '{}' }), undefined)
    assert.equal(argumentsOf({ type: 'unheard_of' }), undefined)
  })

  it('a body that is not a response is an upstream error', () => {
    const bad = [
      null,
      {},
      { error: { message: 'x' } },
      { status: 'failed', output: [] },
      { status: 'in_progress', output: [] },
    ]
    for (const body of bad) {
      assert.throws(
        () => readResponse(body),
        (error) => error instanceof RouterError && error.kind === 'upstream_error',
        JSON.stringify(body),
      )
    }
  })

  it('token counts are read from the response or from the event around it', () => {
    const response = { usage: { input_tokens: 9, output_tokens: 3 } }
    assert.deepEqual(readUsage(response), { promptTokens: 9, completionTokens: 3 })
    assert.deepEqual(readUsage({ type: 'response.completed', response }), {
      promptTokens: 9,
      completionTokens: 3,
    })
    assert.equal(readUsage({ usage: null }), undefined)
  })
})
