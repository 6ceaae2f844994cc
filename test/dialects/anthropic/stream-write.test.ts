import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createWriter } from '../../../src/dialects/anthropic/stream/write.ts'
import { estimateTokens } from '../../../src/dialects/anthropic/token-estimate.ts'
import type { ChatEvent, FinishReason } from '../../../src/sdk/chat.ts'
import { upstreamFailed } from '../../../src/sdk/errors.ts'
import { context } from '../shared/codec.ts'
import { fixture, readPieces, written } from './support.ts'

const text = (value: string): ChatEvent => ({ type: 'text-delta', choice: 0, text: value })
const thought = (value: string): ChatEvent => ({ type: 'reasoning-delta', choice: 0, text: value })
const callStart = (call: number, id = `call_${call}`): ChatEvent => ({
  type: 'tool-call-start',
  choice: 0,
  call,
  id,
  name: `f${call}`,
})
const callDelta = (call: number, json: string): ChatEvent => ({
  type: 'tool-call-delta',
  choice: 0,
  call,
  arguments: json,
})
const callEnd = (call: number): ChatEvent => ({ type: 'block-end', choice: 0, call })
const finish = (reason: FinishReason = 'stop'): ChatEvent[] => [
  { type: 'finish', choice: 0, reason },
  { type: 'end' },
]

/** The blocks as a client assembles them. Fails unless they follow the grammar. */
function blocksOf(events: readonly Record<string, unknown>[]): string[] {
  const blocks: string[] = []
  let open = false
  for (const { type, index, content_block: head, delta } of events) {
    if (type === 'content_block_start') {
      assert.equal(open, false, 'blocks do not overlap')
      assert.equal(index, blocks.length, 'indices count from 0')
      const { name = '', type: kind } = head as { name?: string; type: string }
      blocks.push(`${kind} ${name}`.trim())
      open = true
    } else if (type === 'content_block_delta') {
      assert.ok(open && index === blocks.length - 1, 'deltas belong to the open block')
      const { type: _type, ...said } = delta as Record<string, string>
      blocks[blocks.length - 1] += `|${Object.values(said).join('')}`
    } else if (type === 'content_block_stop') {
      assert.ok(open && index === blocks.length - 1)
      open = false
    }
  }
  assert.equal(open, false, 'the last block is closed')
  return blocks
}

function objectIn(value: Record<string, unknown> | undefined, name: string): Record<string, unknown> {
  const member = value?.[name]
  assert.ok(typeof member === 'object' && member !== null)
  return { ...member }
}

function namesOf(events: readonly Record<string, unknown>[]): unknown[] {
  return events.map(({ type }) => type)
}

function endOf(events: readonly Record<string, unknown>[]): unknown {
  return events.find(({ type }) => type === 'message_delta')?.delta
}

describe('a streamed message', () => {
  it('a streamed message begins with a complete message_start and ends with stop reason, counts and end marker', () => {
    const usage = {
      promptTokens: 30,
      completionTokens: 7,
      cachedTokens: 20,
      cacheWriteTokens: 4,
      reasoningTokens: 2,
    }
    const events = written([text('Hi'), { type: 'usage', usage }, ...finish()])
    assert.deepEqual(namesOf(events), [
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    assert.deepEqual(events[0]?.message, {
      id: 'msg_0123456789abcdef01234567',
      type: 'message',
      role: 'assistant',
      model: 'alias',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      stop_details: null,
      container: null,
      usage: {
        input_tokens: 0,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 0,
        output_tokens_details: null,
        server_tool_use: null,
        cache_creation: null,
        service_tier: 'standard',
      },
    })
    assert.deepEqual(events[4], {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null, stop_details: null },
      usage: {
        input_tokens: 6,
        cache_creation_input_tokens: 4,
        cache_read_input_tokens: 20,
        output_tokens: 7,
        output_tokens_details: { thinking_tokens: 2 },
        server_tool_use: null,
      },
    })
  })

  it('message_start has the prompt token count if it is known or can be estimated', () => {
    const request = { messages: [{ role: 'user', content: 'How warm is it in Oslo?' }] }
    const usageOf = (events: readonly Record<string, unknown>[]) =>
      objectIn(objectIn(events[0], 'message'), 'usage').input_tokens
    assert.equal(usageOf(written([text('a'), ...finish()], { request })), estimateTokens(request))
    assert.equal(usageOf(written([text('a'), ...finish()])), 0)
    const known: ChatEvent = { type: 'usage', usage: { promptTokens: 9, completionTokens: 1 } }
    assert.equal(usageOf(written([known, text('a'), ...finish()], { request })), 9)
  })

  it('a streamed message without content is complete and has no blocks', () => {
    assert.deepEqual(namesOf(written([{ type: 'start' }, ...finish()])), [
      'message_start',
      'message_delta',
      'message_stop',
    ])
  })

  it('an id of Anthropic’s own format is kept', () => {
    const events = written([{ type: 'start', id: 'msg_up1' }, text('a'), ...finish()])
    assert.equal(objectIn(events[0], 'message').id, 'msg_up1')
    const foreign = written([{ type: 'start', id: 'chatcmpl-1' }, text('a'), ...finish()])
    assert.equal(objectIn(foreign[0], 'message').id, `msg_${context.id}`)
  })

  it('an error ends a streamed message without an end marker, and nothing follows', () => {
    const writer = createWriter(context)
    writer.write(text('a'))
    const last = writer.write({ type: 'error', error: upstreamFailed('Broken', 'X') })
    assert.equal(
      last,
      'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Broken"}}\n\n',
    )
    assert.equal(writer.write({ type: 'end' }), '')
  })

  it('a stream read from Anthropic is written unchanged, except the names', () => {
    const events = readPieces([fixture('thinking-tools.sse')])
    assert.deepEqual(blocksOf(written(events)), [
      'thinking|plan |it|c2ln',
      'text|Let me look.',
      'tool_use get_weather|{"city":|"Łódź"}',
      'tool_use get_time|{}',
    ])
  })
})

describe('content blocks', () => {
  it('a change of content kind starts a new block', () => {
    const events = [thought('a'), thought('b'), text('c'), text('d'), thought('e'), ...finish()]
    assert.deepEqual(blocksOf(written(events)), ['thinking|a|b', 'text|c|d', 'thinking|e'])
  })

  it('interleaved calls become blocks that do not overlap', () => {
    const events = [
      callStart(0),
      callDelta(0, '{"a":'),
      callStart(1),
      callDelta(1, '{"b":'),
      callDelta(0, '1}'),
      callDelta(1, '2}'),
      callEnd(0),
      callEnd(1),
      ...finish('tool_calls'),
    ]
    assert.deepEqual(blocksOf(written(events)), ['tool_use f0|{"a":|1}', 'tool_use f1|{"b":|2}'])
  })

  it('deltas of the first call are written immediately, those of other calls once it is complete', () => {
    const writer = createWriter(context)
    assert.match(writer.write(callStart(0)), /message_start.*"name":"f0"/s)
    assert.match(writer.write(callDelta(0, '{}')), /partial_json/)
    assert.equal(writer.write(callStart(1)), '')
    assert.equal(writer.write(callDelta(1, '{}')), '')
    assert.match(writer.write(callEnd(0)), /content_block_stop.*"name":"f1".*partial_json/s)
    assert.match(writer.write(callEnd(1)), /"content_block_stop","index":1/)
  })

  it('text after an open call waits for the end of the call', () => {
    const events = [
      callStart(0),
      text('later'),
      callDelta(0, '{"a":1}'),
      callEnd(0),
      text(' on'),
      ...finish(),
    ]
    assert.deepEqual(blocksOf(written(events)), ['tool_use f0|{"a":1}', 'text|later| on'])
  })

  it('a call that never ended is closed at the end of the message', () => {
    assert.deepEqual(blocksOf(written([callStart(0), callDelta(0, '{}'), ...finish()])), ['tool_use f0|{}'])
  })

  it('an id with characters that Anthropic rejects is replaced', () => {
    const start = written([callStart(0, 'functions.f:0'), callEnd(0), ...finish()])[1]
    assert.match(String(objectIn(start, 'content_block').id), /^toolu_[a-f0-9]{24}$/)
  })
})

describe('white space in a stream', () => {
  it('white space before a call is dropped', () => {
    const events = [thought('plan'), text('\n\n'), callStart(0), callEnd(0), ...finish('tool_calls')]
    assert.deepEqual(blocksOf(written(events)), ['thinking|plan', 'tool_use f0'])
    const later = [text('\n\n'), callStart(0), callEnd(0), text('Done'), ...finish()]
    assert.deepEqual(blocksOf(written(later)), ['tool_use f0', 'text|Done'])
  })

  it('white space before a text is part of it, and white space within a text is not held back', () => {
    assert.deepEqual(
      blocksOf(written([text('\n'), text(' '), text('a'), text(' '), text('b'), ...finish()])),
      ['text|\n a| |b'],
    )
  })

  it('white space alone opens no text block', () => {
    assert.deepEqual(blocksOf(written([text(' \n'), ...finish()])), [])
  })
})

describe('stop reason', () => {
  const reasonOf = (...events: ChatEvent[]) => endOf(written(events))
  const plain = (stop_reason: string) => ({ stop_reason, stop_sequence: null, stop_details: null })

  it('stop_reason is tool_use after any call, unless the limit was reached', () => {
    assert.deepEqual(reasonOf(callStart(0), callEnd(0), ...finish('stop')), plain('tool_use'))
    assert.deepEqual(reasonOf(callStart(0), callEnd(0), ...finish('tool_calls')), plain('tool_use'))
    assert.deepEqual(reasonOf(callStart(0), callEnd(0), ...finish('length')), plain('max_tokens'))
  })

  it('stop_reason names the stop sequence that was hit', () => {
    const events: ChatEvent[] = [
      text('a'),
      { type: 'finish', choice: 0, reason: 'stop', stopSequence: 'END' },
    ]
    assert.deepEqual(reasonOf(...events, { type: 'end' }), {
      stop_reason: 'stop_sequence',
      stop_sequence: 'END',
      stop_details: null,
    })
  })

  it('stop_reason is refusal after a filter or a refusal, whose text is shown', () => {
    const refusal = {
      ...plain('refusal'),
      stop_details: { type: 'refusal', category: null, explanation: null },
    }
    assert.deepEqual(reasonOf(text('a'), ...finish('content_filter')), refusal)
    const events = written([{ type: 'refusal-delta', choice: 0, text: 'No.' }, ...finish()])
    assert.deepEqual(endOf(events), refusal)
    assert.deepEqual(blocksOf(events), ['text|No.'])
  })
})
