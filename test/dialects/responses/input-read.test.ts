import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChatMessage } from '../../../src/sdk/chat.ts'
import { readMembers, refusal, refusedAt, turns } from './support.ts'

const user = { role: 'user', content: 'Hi' }

function call(id: string, name = 'f', json = '{}'): object {
  return { type: 'function_call', id: `fc_${id}`, call_id: id, name, arguments: json, status: 'completed' }
}

function output(id: string, text: unknown = `of ${id}`): object {
  return { type: 'function_call_output', call_id: id, output: text }
}

function said(text: string): object {
  return {
    type: 'message',
    id: 'msg_1',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text, annotations: [] }],
  }
}

function reasoning(text: string): object {
  return { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text }] }
}

/** A conversation in short form: role, text and calls, and for results the call. */
function short(messages: readonly ChatMessage[]): string[] {
  return messages.map((message) => {
    const text = message.parts.map((part) => ('text' in part ? part.text : part.type)).join('+')
    if (message.role === 'tool') return `tool ${message.callId}: ${text}`
    if (message.role !== 'assistant') return `${message.role}: ${text}`
    const calls = message.toolCalls.map(({ id }) => ` ${id}`).join('')
    return `assistant${message.reasoning && ` (${message.reasoning})`}: ${text}${calls}`
  })
}

describe('messages', () => {
  it('a string is one user message', () => {
    assert.deepEqual(readMembers({ input: 'Hello' }).messages, [
      { role: 'user', parts: [{ type: 'text', text: 'Hello' }] },
    ])
  })

  it('messages of all roles are read, with and without a type, and with either form of content', () => {
    assert.deepEqual(
      turns(
        { role: 'system', content: 'S' },
        { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'D' }] },
        { type: 'message', role: 'user', content: 'U' },
        { role: 'assistant', content: 'A' },
      ),
      [
        { role: 'system', developer: false, parts: [{ type: 'text', text: 'S' }] },
        { role: 'system', developer: true, parts: [{ type: 'text', text: 'D' }] },
        { role: 'user', parts: [{ type: 'text', text: 'U' }] },
        { role: 'assistant', parts: [{ type: 'text', text: 'A' }], reasoning: '', toolCalls: [] },
      ],
    )
  })

  it('images are plain URLs or data, files are data or ids', () => {
    const [message] = turns({
      role: 'user',
      content: [
        { type: 'input_image', image_url: 'https://example.com/a.png', detail: 'low' },
        { type: 'input_image', image_url: 'data:image/jpeg;base64,_-8' },
        { type: 'input_file', file_data: 'data:text/plain;base64,SGk=', filename: 'a.txt' },
      ],
    })
    assert.deepEqual(message?.parts, [
      { type: 'image', source: { kind: 'url', url: 'https://example.com/a.png' }, detail: 'low' },
      { type: 'image', source: { kind: 'base64', mediaType: 'image/jpeg', data: '/+8=' } },
      { type: 'file', data: 'data:text/plain;base64,SGk=', name: 'a.txt' },
    ])
  })

  it('a refusal in an earlier response stays a refusal', () => {
    const [message] = turns({ role: 'assistant', content: [{ type: 'refusal', refusal: 'No' }] })
    assert.deepEqual(message?.parts, [{ type: 'refusal', text: 'No' }])
  })

  it('invalid content is rejected with its path', () => {
    assert.equal(refusedAt({ input: [user, { role: 'robot', content: 'x' }] }), 'input[1].role')
    assert.equal(refusedAt({ input: [{ role: 'user' }] }), 'input[0].content')
    const part = (value: object): object => ({ input: [{ role: 'user', content: [value] }] })
    const file = part({ type: 'input_image', file_id: 'file_1' })
    assert.equal(refusedAt({ ...file }), 'input[0].content[0].file_id')
    const image = part({ type: 'input_image', image_url: 'data:image/png;base64,***' })
    assert.equal(refusedAt({ ...image }), 'input[0].content[0].image_url')
  })
})

describe('calls and their outputs', () => {
  it('consecutive calls and the text before them are one message, and outputs follow in the order of the calls', () => {
    const messages = turns(user, said('Look'), call('a'), call('b'), output('b'), output('a'))
    assert.deepEqual(short(messages), ['user: Hi', 'assistant: Look a b', 'tool a: of a', 'tool b: of b'])
    assert.equal(messages[2]?.role === 'tool' && messages[2].name, 'f')
  })

  it('an output far after its call is moved to it', () => {
    const messages = turns(user, call('a'), { role: 'user', content: 'And?' }, output('a'))
    assert.deepEqual(short(messages), ['user: Hi', 'assistant:  a', 'tool a: of a', 'user: And?'])
  })

  it('an output before its call is moved after it', () => {
    assert.deepEqual(short(turns(user, output('a'), call('a'))), [
      'user: Hi',
      'assistant:  a',
      'tool a: of a',
    ])
  })

  it('a call after an output starts the next message', () => {
    const messages = turns(user, call('a'), output('a'), call('b'), output('b'), said('Done'))
    assert.deepEqual(short(messages), [
      'user: Hi',
      'assistant:  a',
      'tool a: of a',
      'assistant:  b',
      'tool b: of b',
      'assistant: Done',
    ])
  })

  it('a text after a call without an output is part of the same message', () => {
    const messages = turns(user, call('a'), said('Calling'), output('a'))
    assert.deepEqual(short(messages), ['user: Hi', 'assistant: Calling a', 'tool a: of a'])
  })

  it('two consecutive responses stay two messages', () => {
    assert.deepEqual(short(turns(said('One'), said('Two'))), ['assistant: One', 'assistant: Two'])
  })

  it('ids that are reused in every turn are made unique', () => {
    const messages = turns(call('0'), output('0', 'x'), user, call('0'), output('0', 'y'))
    assert.deepEqual(short(messages), [
      'assistant:  0',
      'tool 0: x',
      'user: Hi',
      'assistant:  call_1',
      'tool call_1: y',
    ])
  })

  it('calls and outputs are matched by call_id only, never by the item id', () => {
    assert.equal(refusedAt({ input: [call('a'), output('fc_a')] }), 'input[1].call_id')
  })

  it('an output without an open call is rejected', () => {
    assert.equal(refusedAt({ input: [user, output('a')] }), 'input[1].call_id')
    assert.equal(refusedAt({ input: [call('a'), output('a'), output('a')] }), 'input[2].call_id')
  })

  it('a call without arguments gets an empty object, and truncated arguments are completed', () => {
    const [message] = turns(call('a', 'f', ''))
    assert.equal(message?.role === 'assistant' && message.toolCalls[0]?.arguments, '{}')
    const [broken] = turns(call('a', 'f', '{"a":"b'))
    assert.equal(broken?.role === 'assistant' && broken.toolCalls[0]?.arguments, '{"a":"b"}')
    assert.equal(refusedAt({ input: [call('a', '')] }), 'input[0].name')
  })

  it('the output of a call may be a list of text and images', () => {
    const image = { type: 'input_image', image_url: 'https://example.com/a.png' }
    const messages = turns(call('a'), output('a', [{ type: 'input_text', text: 'see' }, image]))
    assert.deepEqual(short(messages), ['assistant:  a', 'tool a: see+image'])
  })

  it('the text of a custom tool call becomes its argument', () => {
    const messages = turns(
      { type: 'custom_tool_call', call_id: 'a', name: 'patch', input: 'x "y"' },
      { type: 'custom_tool_call_output', call_id: 'a', output: 'ok' },
    )
    assert.deepEqual(short(messages), ['assistant:  a', 'tool a: ok'])
    assert.equal(
      messages[0]?.role === 'assistant' && messages[0].toolCalls[0]?.arguments,
      '{"input":"x \\"y\\""}',
    )
  })
})

describe('reasoning', () => {
  it('reasoning is part of the response that follows it', () => {
    const messages = turns(
      reasoning('one'),
      said('A'),
      reasoning('two'),
      said('B'),
      reasoning('three'),
      call('a'),
    )
    assert.deepEqual(short(messages), ['assistant (one): A', 'assistant (two\n\nthree): B a'])
  })

  it('reasoning takes precedence over its summary', () => {
    const content = [{ type: 'reasoning_text', text: 'raw' }]
    assert.deepEqual(short(turns({ ...reasoning('short'), content }, said('A'))), ['assistant (raw): A'])
  })

  it('reasoning without a response is dropped', () => {
    assert.deepEqual(short(turns(reasoning('one'), user, said('A'))), ['user: Hi', 'assistant: A'])
  })

  it('encrypted reasoning is reported', () => {
    const { extras } = readMembers({
      input: [{ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAA' }, said('A'), user],
    })
    assert.deepEqual(Object.keys(extras), ['input.reasoning.encrypted_content'])
  })
})

describe('other items', () => {
  it("items of OpenAI's own tools are reported", () => {
    const { extras, messages } = readMembers({ input: [user, { type: 'web_search_call', id: 'ws_1' }] })
    assert.deepEqual(Object.keys(extras), ['input.web_search_call'])
    assert.equal(messages.length, 1)
  })

  it('items that cannot be read are reported', () => {
    const { extras } = readMembers({ input: [user, { type: 'compaction', encrypted_content: 'x' }] })
    assert.deepEqual(Object.keys(extras), ['input.compaction'])
  })

  it('an unknown reference is rejected, with or without its type', () => {
    assert.equal(refusal({ input: [{ type: 'item_reference', id: 'msg_1' }] }).param, 'input[0]')
    assert.match(refusal({ input: [{ id: 'msg_1' }] }).message, /msg_1/)
  })

  it('stored items are placed before the input and replace references', () => {
    const history = [user, call('a')].map((item) => ({ ...item }))
    const referenced = new Map([['msg_1', { ...said('Known') }]])
    const { messages } = readMembers(
      {
        previous_response_id: 'resp_1',
        instructions: 'New',
        input: [output('a'), { type: 'item_reference', id: 'msg_1' }],
      },
      { history, referenced },
    )
    assert.deepEqual(short(messages), [
      'system: New',
      'user: Hi',
      'assistant:  a',
      'tool a: of a',
      'assistant: Known',
    ])
  })
})
