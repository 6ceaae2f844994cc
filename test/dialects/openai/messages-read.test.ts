import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { call, refusedAt, turns } from './requests.ts'

describe('messages', () => {
  it('system and developer messages are distinguished, and parts stay parts', () => {
    const content = [{ type: 'text', text: 'a' }, 'b']
    assert.deepEqual(turns({ role: 'system', content: 'S' }, { role: 'developer', content, name: 'boss' }), [
      { role: 'system', developer: false, parts: [{ type: 'text', text: 'S' }] },
      {
        role: 'system',
        developer: true,
        parts: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
        name: 'boss',
      },
    ])
  })

  it('user parts of every kind are read', () => {
    const content = [
      { type: 'text', text: 'Look' },
      { type: 'image_url', image_url: { url: 'https://example.org/a.png', detail: 'low' } },
      { type: 'image_url', image_url: 'data:image/PNG;base64,iVBORw0KGgo=' },
      { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
      { type: 'file', file: { file_data: 'data:application/pdf;base64,AA==', filename: 'a.pdf' } },
    ]
    assert.deepEqual(turns({ role: 'user', content })[0], {
      role: 'user',
      parts: [
        { type: 'text', text: 'Look' },
        { type: 'image', source: { kind: 'url', url: 'https://example.org/a.png' }, detail: 'low' },
        { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBORw0KGgo=' } },
        { type: 'audio', data: 'AAAA', format: 'wav' },
        { type: 'file', data: 'data:application/pdf;base64,AA==', name: 'a.pdf' },
      ],
    })
  })

  it('URL-safe and unpadded base64 is normalized, and a missing media type is detected from the bytes', () => {
    const [message] = turns({
      role: 'user',
      content: [{ type: 'image_url', image_url: 'data:;base64,_9j_4A' }],
    })
    assert.deepEqual(message?.parts, [
      { type: 'image', source: { kind: 'base64', mediaType: 'image/jpeg', data: '/9j/4A==' } },
    ])
  })

  it('an image of many megabytes is read', () => {
    const data = 'A'.repeat(24 * 1024 * 1024)
    const [message] = turns({
      role: 'user',
      content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } }],
    })
    const part = message?.role === 'user' ? message.parts[0] : undefined
    assert.ok(part?.type === 'image' && part.source.kind === 'base64')
    assert.equal(part.source.data.length, data.length)
  })

  it('an assistant turn keeps text, refusal, reasoning and calls', () => {
    const message = {
      role: 'assistant',
      content: [
        { type: 'text', text: 'T' },
        { type: 'refusal', refusal: 'R' },
      ],
      refusal: 'R2',
      reasoning_content: 'hm',
      tool_calls: [call('a', '{"x":1}')],
    }
    assert.deepEqual(turns(message), [
      {
        role: 'assistant',
        parts: [
          { type: 'text', text: 'T' },
          { type: 'refusal', text: 'R' },
          { type: 'refusal', text: 'R2' },
        ],
        reasoning: 'hm',
        toolCalls: [{ id: 'a', name: 'f', arguments: '{"x":1}' }],
      },
    ])
    assert.deepEqual(turns({ role: 'assistant', content: null, reasoning: 'newer' })[0], {
      role: 'assistant',
      parts: [],
      reasoning: 'newer',
      toolCalls: [],
    })
  })

  it('tool arguments that are empty, null or an object become the JSON of an object', () => {
    const [message] = turns({
      role: 'assistant',
      tool_calls: [call('a', ''), call('b', null), call('c', 'null'), call('d', { x: 1 })],
    })
    assert.ok(message?.role === 'assistant')
    assert.deepEqual(
      message.toolCalls.map((each) => each.arguments),
      ['{}', '{}', '{}', '{"x":1}'],
    )
  })

  it('a tool result gets the name of its call', () => {
    const messages = turns(
      { role: 'assistant', tool_calls: [call('a', '{}', 'f'), call('b', '{}', 'g')] },
      { role: 'tool', tool_call_id: 'b', content: 'G' },
      { role: 'tool', tool_call_id: 'a', content: [{ type: 'text', text: 'F' }] },
    )
    assert.deepEqual(messages.slice(1), [
      { role: 'tool', callId: 'b', name: 'g', parts: [{ type: 'text', text: 'G' }] },
      { role: 'tool', callId: 'a', name: 'f', parts: [{ type: 'text', text: 'F' }] },
    ])
  })

  it('reused ids are made unique, and results keep their calls', () => {
    const messages = turns(
      { role: 'assistant', tool_calls: [call('0', '{}', 'f')] },
      { role: 'tool', tool_call_id: '0', content: 'F' },
      { role: 'assistant', tool_calls: [call('0', '{}', 'g'), call(undefined, '{}', 'h')] },
      { role: 'tool', tool_call_id: '0', content: 'G' },
    )
    const ids = messages.flatMap((message) =>
      message.role === 'assistant' ? message.toolCalls.map(({ id }) => id) : [],
    )
    assert.equal(new Set(ids).size, 3)
    const results = messages.filter((message) => message.role === 'tool')
    assert.deepEqual(
      results.map(({ callId, name }) => [callId, name]),
      [
        ['0', 'f'],
        [ids[1], 'g'],
      ],
    )
  })

  it('deprecated function messages become tool messages', () => {
    const messages = turns(
      { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{"a":1}' } },
      { role: 'function', name: 'f', content: '42' },
    )
    const [asked, answered] = messages
    assert.ok(asked?.role === 'assistant' && answered?.role === 'tool')
    assert.equal(asked.toolCalls[0]?.arguments, '{"a":1}')
    assert.equal(answered.callId, asked.toolCalls[0]?.id)
    assert.deepEqual([answered.name, answered.parts], ['f', [{ type: 'text', text: '42' }]])
  })

  it('invalid content is rejected with its path', () => {
    const cases: [object, string][] = [
      [{ role: 'user', content: null }, 'messages[0].content'],
      [{ role: 'tool', content: 'x' }, 'messages[0].tool_call_id'],
      [{ role: 'function', content: 'x' }, 'messages[0].name'],
      [{ role: 'user', content: [{ type: 'video_url' }] }, 'messages[0].content[0].type'],
      [{ role: 'system', content: [{ type: 'image_url', image_url: 'x' }] }, 'messages[0].content[0].type'],
      [
        { role: 'user', content: [{ type: 'image_url', image_url: 'file:///a' }] },
        'messages[0].content[0].image_url.url',
      ],
      [
        { role: 'user', content: [{ type: 'image_url', image_url: 'data:image/png;base64,a*b=' }] },
        'messages[0].content[0].image_url.url',
      ],
      [{ role: 'user', content: [{ type: 'text' }] }, 'messages[0].content[0].text'],
    ]
    for (const [message, path] of cases) assert.equal(refusedAt({ messages: [message] }), path)
  })
})
