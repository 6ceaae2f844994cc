import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createWriter } from '../../../src/dialects/responses/stream/write.ts'
import type { ChatEvent } from '../../../src/sdk/chat.ts'
import { RouterError, streamTruncated } from '../../../src/sdk/errors.ts'
import { checkStream, eventsOf, objectOf } from './grammar.ts'
import { context, type Json } from './support.ts'

function write(events: readonly ChatEvent[], request: Json = {}, onAnswer?: (answer: Json) => void): string {
  const writer = createWriter({ ...context, request }, onAnswer)
  return events.map((event) => writer.write(event)).join('')
}

function text(value: string): ChatEvent {
  return { type: 'text-delta', choice: 0, text: value }
}

function thought(value: string): ChatEvent {
  return { type: 'reasoning-delta', choice: 0, text: value }
}

function callStart(call: number, name = 'f'): ChatEvent {
  return { type: 'tool-call-start', choice: 0, call, id: `call_${call}`, name }
}

function callDelta(call: number, json: string): ChatEvent {
  return { type: 'tool-call-delta', choice: 0, call, arguments: json }
}

function callEnd(call: number): ChatEvent {
  return { type: 'block-end', choice: 0, call }
}

const start: ChatEvent = { type: 'start', id: 'chatcmpl-1', created: 7 }
const usage: ChatEvent = {
  type: 'usage',
  usage: { promptTokens: 9, completionTokens: 3, cachedTokens: 2, reasoningTokens: 1 },
}
const end: ChatEvent = { type: 'end' }

function finish(reason: 'stop' | 'length' | 'content_filter' | 'tool_calls' = 'stop'): ChatEvent {
  return { type: 'finish', choice: 0, reason }
}

function partOf(item: Json | undefined): Json {
  assert.ok(Array.isArray(item?.content))
  return objectOf(item.content[0])
}

function kinds(items: readonly Json[]): unknown[] {
  return items.map((item) => item.type)
}

describe('events for the client', () => {
  it('a text is announced, streamed, completed, and repeated in the last object with the token counts', () => {
    const { events, answer } = checkStream(write([start, text('Hi '), text('🦜'), usage, finish(), end]))
    assert.deepEqual(
      events.map(({ type }) => type.replace('response.', '')),
      [
        'created',
        'in_progress',
        'output_item.added',
        'content_part.added',
        'output_text.delta',
        'output_text.delta',
        'output_text.done',
        'content_part.done',
        'output_item.done',
        'completed',
      ],
    )
    assert.equal(answer.id, 'resp_0123456789abcdef01234567')
    assert.equal(answer.model, 'alias')
    assert.equal(answer.created_at, 1_795_392_000)
    assert.equal(answer.completed_at, 1_795_392_001)
    assert.deepEqual(answer.output, [
      {
        id: 'msg_0123456789abcdef01234567_0',
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'Hi 🦜', annotations: [], logprobs: [] }],
      },
    ])
    assert.deepEqual(answer.usage, {
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 2, cache_write_tokens: 0 },
      output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 1 },
      total_tokens: 12,
    })
  })

  it('reasoning, text and a call become three consecutive items', () => {
    const { items } = checkStream(
      write([
        start,
        thought('pl'),
        thought('an'),
        text('Look'),
        callStart(0),
        callDelta(0, '{"a"'),
        callDelta(0, ':1}'),
        callEnd(0),
        finish('tool_calls'),
        end,
      ]),
    )
    assert.deepEqual(kinds(items), ['reasoning', 'message', 'function_call'])
    assert.deepEqual(items[0]?.summary, [{ type: 'summary_text', text: 'plan' }])
    assert.equal(items[2]?.arguments, '{"a":1}')
    assert.equal(items[2]?.call_id, 'call_0')
    assert.match(String(items[2]?.id), /^fc_/)
  })

  it('hidden reasoning, which has only a signature, is an item without a summary', () => {
    const hidden: ChatEvent = { type: 'reasoning-delta', choice: 0, text: '', signature: 'c2ln' }
    const { items } = checkStream(write([start, hidden, text('Hi'), finish(), end]))
    assert.deepEqual(kinds(items), ['reasoning', 'message'])
    assert.deepEqual(items[0]?.summary, [])
    assert.equal(typeof items[0]?.encrypted_content, 'string')
  })

  it('the arguments of the first call are streamed immediately, those of parallel calls follow in order', () => {
    const events = [callStart(0, 'f'), callDelta(0, '{"a":'), callStart(1, 'g'), callDelta(1, '{}')]
    const begun = write([start, ...events])
    assert.ok(begun.includes('{\\"a\\":'), 'the first arguments are already sent')
    const all = write([
      start,
      ...events,
      callDelta(0, '1}'),
      callEnd(0),
      callEnd(1),
      finish('tool_calls'),
      end,
    ])
    const { items } = checkStream(all)
    assert.deepEqual(
      items.map(({ name, arguments: json }) => [name, json]),
      [
        ['f', '{"a":1}'],
        ['g', '{}'],
      ],
    )
  })

  it('text after an open call waits for it and is a separate message', () => {
    const { items } = checkStream(
      write([text('one'), callStart(0), callDelta(0, '{}'), text('two'), callEnd(0), finish(), end]),
    )
    assert.deepEqual(kinds(items), ['message', 'function_call', 'message'])
  })

  it('line breaks around calls are not a message, but line breaks alone are', () => {
    const calls = [callStart(0), callDelta(0, '{}'), callEnd(0)]
    const around = write([thought('t'), text('\n\n'), ...calls, text('\n'), finish('tool_calls'), end])
    assert.deepEqual(kinds(checkStream(around).items), ['reasoning', 'function_call'])
    const alone = write([text('\n'), finish(), end])
    assert.deepEqual(kinds(checkStream(alone).items), ['message'])
  })

  it('line breaks before a text are part of it', () => {
    const { items } = checkStream(write([thought('t'), text('\n\n'), text('Hi'), finish(), end]))
    assert.equal(partOf(items[1]).text, '\n\nHi')
  })

  it('a call without arguments has an empty object', () => {
    const { items } = checkStream(write([callStart(0), callEnd(0), finish('tool_calls'), end]))
    assert.equal(items[0]?.arguments, '{}')
  })

  it('a refusal after text is a second part of the same message', () => {
    const { items } = checkStream(
      write([text('Well'), { type: 'refusal-delta', choice: 0, text: 'No' }, finish(), end]),
    )
    assert.deepEqual(items[0]?.content, [
      { type: 'output_text', text: 'Well', annotations: [], logprobs: [] },
      { type: 'refusal', refusal: 'No' },
    ])
  })

  it('the call of a custom tool is sent as free text', () => {
    const request = { tools: [{ type: 'custom', name: 'patch' }] }
    const events = [
      callStart(0, 'patch'),
      callDelta(0, '{"input":"*** Be'),
      callDelta(0, 'gin\\n"}'),
      callEnd(0),
    ]
    const { items, events: sent } = checkStream(write([...events, finish('tool_calls'), end], request))
    assert.equal(items[0]?.type, 'custom_tool_call')
    assert.equal(items[0]?.input, '*** Begin\n')
    assert.ok(!sent.some(({ type }) => type.startsWith('response.function_call')))
  })

  it('token probabilities are sent with their delta and with the whole text', () => {
    const logprobs = [{ token: 'Hi', logprob: -0.5, bytes: null, topLogprobs: [] }]
    const { events, items } = checkStream(
      write([{ type: 'text-delta', choice: 0, text: 'Hi', logprobs }, finish(), end]),
    )
    const expected = [{ token: 'Hi', logprob: -0.5, bytes: [], top_logprobs: [] }]
    assert.deepEqual(events.find(({ type }) => type.endsWith('output_text.delta'))?.logprobs, expected)
    assert.deepEqual(partOf(items[0]).logprobs, expected)
  })

  it('a response that reached its limit is incomplete, and so is its last message', () => {
    const { answer, items } = checkStream(write([text('Hi'), usage, finish('length'), end]))
    assert.equal(answer.status, 'incomplete')
    assert.deepEqual(answer.incomplete_details, { reason: 'max_output_tokens' })
    assert.equal(answer.completed_at, null)
    assert.equal(items[0]?.status, 'incomplete')
    const filtered = checkStream(write([text('Hi'), finish('content_filter'), end]))
    assert.deepEqual(filtered.answer.incomplete_details, { reason: 'content_filter' })
  })

  it('a response without content is complete and empty', () => {
    assert.deepEqual(checkStream(write([start, finish(), end])).answer.output, [])
  })

  it('nothing follows the end, and the final object is handed over before it', () => {
    const answers: Json[] = []
    const writer = createWriter(context, (answer) => answers.push(answer))
    const begun = [text('Hi'), finish()].map((event) => writer.write(event)).join('')
    assert.deepEqual(answers, [])
    const last = eventsOf(begun + writer.write(end)).at(-1)
    assert.deepEqual(answers, [last?.response])
    assert.equal(writer.write(text('more')), '')
    assert.equal(writer.write({ type: 'error', error: streamTruncated() }), '')
  })
})

describe('a stream that breaks off', () => {
  it('a broken stream fails with its id, its sequence number and its content so far, and is not handed over', () => {
    const answers: Json[] = []
    const error: ChatEvent = { type: 'error', error: streamTruncated() }
    const { answer, items } = checkStream(
      write([thought('t'), text('Hi'), error], {}, (one) => answers.push(one)),
    )
    assert.equal(answer.status, 'failed')
    assert.deepEqual(answer.error, {
      code: 'server_error',
      message: 'Upstream closed the stream before it was complete',
    })
    assert.deepEqual(kinds(items), ['reasoning'])
    const output = answer.output as Json[]
    assert.deepEqual(kinds(output), ['reasoning', 'message'])
    assert.equal(output[1]?.status, 'incomplete')
    assert.deepEqual(answers, [])
  })

  it('a broken stream is announced before it fails, even without content', () => {
    const { answer } = checkStream(write([{ type: 'error', error: streamTruncated() }]))
    assert.deepEqual(answer.output, [])
  })

  it('a failure has an error code that agents can act on', () => {
    const codeOf = (error: RouterError): unknown =>
      objectOf(checkStream(write([{ type: 'error', error }])).answer.error).code
    assert.equal(codeOf(new RouterError('rate_limit', 'slow')), 'rate_limit_exceeded')
    assert.equal(codeOf(new RouterError('context_overflow', 'long')), 'context_length_exceeded')
    assert.equal(codeOf(new RouterError('overloaded', 'busy')), 'server_error')
  })
})

describe('request parameters in the response', () => {
  it('request parameters are repeated as they were sent', () => {
    const request = {
      instructions: 'Be brief',
      temperature: 0.2,
      max_output_tokens: 50,
      metadata: { a: 'b' },
      tools: [{ type: 'function', name: 'f', parameters: {}, strict: true }],
      tool_choice: 'required',
      reasoning: { effort: 'low' },
      text: { verbosity: 'low' },
      parallel_tool_calls: false,
      previous_response_id: 'resp_1',
      store: false,
      truncation: 'auto',
      user: 'u',
    }
    const { answer } = checkStream(write([finish(), end], request))
    const { reasoning, text: format, ...same } = request
    assert.deepEqual(Object.fromEntries(Object.keys(same).map((name) => [name, answer[name]])), same)
    assert.deepEqual(answer.reasoning, { ...reasoning, summary: null })
    assert.deepEqual(answer.text, { ...format, format: { type: 'text' } })
    assert.equal('input' in answer, false)
  })

  it('request parameters that were not sent have the defaults of the API', () => {
    const { answer } = checkStream(write([finish(), end]))
    assert.equal(answer.store, true)
    assert.equal(answer.tool_choice, 'auto')
    assert.equal(answer.temperature, null)
    assert.equal(answer.usage, null)
    assert.deepEqual(answer.metadata, {})
  })
})
