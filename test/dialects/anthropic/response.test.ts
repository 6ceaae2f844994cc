import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readResponse } from '../../../src/dialects/anthropic/response/read.ts'
import { writeResponse } from '../../../src/dialects/anthropic/response/write.ts'
import { estimateTokens } from '../../../src/dialects/anthropic/token-estimate.ts'
import type { ChatChoice, ChatResponse } from '../../../src/sdk/chat.ts'
import { RouterError } from '../../../src/sdk/errors.ts'
import { context } from '../shared/codec.ts'

const message = {
  id: 'msg_up1',
  type: 'message',
  role: 'assistant',
  model: 'claude-up-1',
  content: [
    { type: 'thinking', thinking: 'plan', signature: 'c2ln' },
    { type: 'text', text: 'Let me ' },
    { type: 'text', text: 'look.' },
    { type: 'tool_use', id: 'toolu_a', name: 'files-x2e-read', input: { path: 'a' } },
  ],
  stop_reason: 'tool_use',
  stop_sequence: null,
  usage: {
    input_tokens: 9,
    cache_creation_input_tokens: 3,
    cache_read_input_tokens: 20,
    output_tokens: 12,
    output_tokens_details: { thinking_tokens: 4 },
  },
}

const choice: ChatChoice = { index: 0, text: 'Hi', reasoning: '', toolCalls: [], finishReason: 'stop' }

function writtenChoice(
  changes: Partial<ChatChoice>,
  rest: Partial<ChatResponse> = {},
): Record<string, unknown> {
  return writeResponse({ choices: [{ ...choice, ...changes }], ...rest }, context)
}

function failureOf(body: unknown): string | undefined {
  try {
    readResponse(body)
  } catch (error) {
    return error instanceof RouterError ? error.causeCode : String(error)
  }
  return undefined
}

describe('reading a whole message', () => {
  it('a whole message is read with the tool’s original name and the whole prompt counted', () => {
    assert.deepEqual(readResponse(message), {
      id: 'msg_up1',
      choices: [
        {
          index: 0,
          text: 'Let me look.',
          reasoning: 'plan',
          reasoningSignature: 'c2ln',
          toolCalls: [{ id: 'toolu_a', name: 'files.read', arguments: '{"path":"a"}' }],
          finishReason: 'tool_calls',
        },
      ],
      usage: {
        promptTokens: 32,
        completionTokens: 12,
        cachedTokens: 20,
        cacheWriteTokens: 3,
        reasoningTokens: 4,
      },
    })
  })

  it('the stop sequence and the explanation of a refusal are read', () => {
    const stopped = readResponse({ ...message, stop_reason: 'stop_sequence', stop_sequence: 'END' })
      .choices[0]
    assert.deepEqual([stopped?.finishReason, stopped?.stopSequence], ['stop', 'END'])
    const details = { type: 'refusal', category: null, explanation: 'Not this.' }
    const refused = readResponse({ ...message, content: [], stop_reason: 'refusal', stop_details: details })
    assert.deepEqual(
      [refused.choices[0]?.finishReason, refused.choices[0]?.refusal],
      ['content_filter', 'Not this.'],
    )
  })

  it('empty content is a valid response, and calls without ids get different ids', () => {
    assert.equal(readResponse({ ...message, content: [], stop_reason: 'end_turn' }).choices[0]?.text, '')
    const nameless = { type: 'tool_use', name: 'f', input: null }
    const calls = readResponse({ ...message, content: [nameless, nameless] }).choices[0]?.toolCalls ?? []
    assert.notEqual(calls[0]?.id, calls[1]?.id)
    assert.deepEqual(
      calls.map((call) => call.arguments),
      ['{}', '{}'],
    )
  })

  it('an error with a success status and a body that is not a message are failures', () => {
    assert.equal(failureOf({ type: 'error', error: { type: 'api_error', message: 'x' } }), 'UPSTREAM_ERROR')
    assert.equal(failureOf('hello'), 'BAD_ANSWER')
    assert.equal(failureOf({ choices: [] }), 'BAD_ANSWER')
  })

  it('a message is accepted whatever the model wrote', () => {
    const callsIn = (...content: object[]) => readResponse({ ...message, content }).choices[0]
    assert.equal(callsIn({ type: 'tool_use', name: 'f', input: [1] })?.toolCalls[0]?.arguments, '[1]')
    assert.equal(callsIn({ type: 'tool_use', name: 'f', input: '{"a":' })?.toolCalls[0]?.arguments, '{"a":')
    const none = callsIn({ type: 'tool_use', input: {} }, { type: 'unheard_of', x: 1 })
    assert.deepEqual([none?.toolCalls, none?.finishReason], [[], 'stop'])
    assert.equal(readResponse({ type: 'message', content: null }).choices[0]?.text, '')
  })
})

describe('writing a whole message', () => {
  it('a written message has every member that clients read', () => {
    assert.deepEqual(
      writtenChoice({}, { usage: { promptTokens: 9, completionTokens: 3, cachedTokens: 4 } }),
      {
        id: 'msg_0123456789abcdef01234567',
        type: 'message',
        role: 'assistant',
        model: 'alias',
        content: [{ type: 'text', text: 'Hi' }],
        stop_reason: 'end_turn',
        stop_sequence: null,
        stop_details: null,
        container: null,
        usage: {
          input_tokens: 5,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 4,
          output_tokens: 3,
          output_tokens_details: null,
          server_tool_use: null,
          cache_creation: null,
          service_tier: 'standard',
        },
      },
    )
  })

  it('a written message has token counts even if they are unknown', () => {
    const { usage } = writtenChoice({})
    assert.deepEqual(
      [Reflect.get(Object(usage), 'input_tokens'), Reflect.get(Object(usage), 'output_tokens')],
      [0, 0],
    )
  })

  it('a written message has an estimate of an unknown prompt token count, as a streamed one', () => {
    const request = { messages: [{ role: 'user', content: 'How warm is it in Oslo?' }] }
    const { usage } = writeResponse({ choices: [choice] }, { ...context, request })
    assert.equal(Reflect.get(Object(usage), 'input_tokens'), estimateTokens(request))
  })

  it('a written message has thinking first, no blank text, and call input as an object', () => {
    const { content, stop_reason } = writtenChoice({
      text: '\n\n',
      reasoning: 'plan',
      toolCalls: [{ id: 'call_1', name: 'f', arguments: '{"a":{"b":[1]}}' }],
      finishReason: 'stop',
    })
    assert.deepEqual(content, [
      { type: 'thinking', thinking: 'plan', signature: '' },
      { type: 'tool_use', id: 'call_1', name: 'f', input: { a: { b: [1] } } },
    ])
    assert.equal(stop_reason, 'tool_use')
  })

  it('a response without content has an empty content list', () => {
    assert.deepEqual(writtenChoice({ text: '' }).content, [])
  })

  it('a refusal is written as text', () => {
    const { content, stop_reason } = writtenChoice({ text: '', refusal: 'No.' })
    assert.deepEqual(content, [{ type: 'text', text: 'No.' }])
    assert.equal(stop_reason, 'refusal')
  })

  it('the input of a truncated call has the members received so far', () => {
    const inputOf = (json: string): unknown => {
      const toolCalls = [{ id: 'a', name: 'f', arguments: json }]
      const { content, stop_reason } = writtenChoice({ toolCalls, finishReason: 'length' })
      assert.equal(stop_reason, 'max_tokens')
      assert.ok(Array.isArray(content))
      return content.at(-1).input
    }
    assert.deepEqual(inputOf('{"a": "lo'), { a: 'lo' })
    assert.deepEqual(inputOf('[1]'), { invalid_arguments: '[1]' })
  })

  it('a written message is read back unchanged', () => {
    const response = readResponse(message)
    assert.deepEqual(readResponse(writeResponse(response, context)), response)
  })
})
