import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readMembers, refusedAt, turns } from './support.ts'

const use = (id: string, input: unknown = {}, name = 'f') => ({ type: 'tool_use', id, name, input })
const result = (tool_use_id: string, content?: unknown) => ({
  type: 'tool_result',
  tool_use_id,
  ...(content === undefined ? {} : { content }),
})
const user = (...content: object[]) => ({ role: 'user', content })
const assistant = (...content: object[]) => ({ role: 'assistant', content })
const text = (value: string) => ({ type: 'text', text: value })

describe('user turns', () => {
  it('texts and images keep their order, and empty texts are dropped', () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } }
    const linked = { type: 'image', source: { type: 'url', url: 'https://example.org/a.png' } }
    assert.deepEqual(turns(user(text('A'), image, text(''), linked)), [
      {
        role: 'user',
        parts: [
          text('A'),
          { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBORw0KGgo=' } },
          { type: 'image', source: { kind: 'url', url: 'https://example.org/a.png' } },
        ],
      },
    ])
  })

  it('a text document becomes text, a PDF becomes a file, and both keep their title and context', () => {
    const plain = {
      type: 'document',
      title: 'T',
      source: { type: 'text', media_type: 'text/plain', data: 'D' },
    }
    const pdf = {
      type: 'document',
      title: 'a.pdf',
      context: 'C',
      source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' },
    }
    const [message] = turns(user(plain, pdf))
    assert.deepEqual(message?.parts, [
      text('T\n\nD'),
      text('C'),
      { type: 'file', data: 'data:application/pdf;base64,JVBERi0=', name: 'a.pdf' },
    ])
  })

  it('a document of blocks and a search result become text', () => {
    const blocks = { type: 'document', source: { type: 'content', content: [text('A'), text('B')] } }
    const found = { type: 'search_result', source: 'wiki', title: 'T', content: [text('A')] }
    assert.deepEqual(turns(user(blocks, found))[0]?.parts, [text('A'), text('B'), text('T\nwiki\nA')])
  })

  it('content that only Anthropic can read is rejected with its path', () => {
    const file = { type: 'image', source: { type: 'file', file_id: 'file_1' } }
    assert.equal(
      refusedAt(() => turns(user(file))),
      'messages[0].content[0].source.type',
    )
    const upload = { type: 'container_upload', file_id: 'file_1' }
    assert.equal(
      refusedAt(() => turns(user(text('A'), upload))),
      'messages[0].content[1].type',
    )
  })
})

describe('tool calls and their results', () => {
  it('results become messages before the rest of their turn, with ids and names', () => {
    const read = turns(
      assistant(text('Look'), use('toolu_1', { a: { b: [1] } }), use('toolu_2', undefined, 'g')),
      user(text('And'), result('toolu_2', 'two'), result('toolu_1', [text('one')])),
    )
    assert.deepEqual(read, [
      {
        role: 'assistant',
        parts: [text('Look')],
        reasoning: '',
        toolCalls: [
          { id: 'toolu_1', name: 'f', arguments: '{"a":{"b":[1]}}' },
          { id: 'toolu_2', name: 'g', arguments: '{}' },
        ],
      },
      { role: 'tool', callId: 'toolu_2', name: 'g', parts: [text('two')] },
      { role: 'tool', callId: 'toolu_1', name: 'f', parts: [text('one')] },
      { role: 'user', parts: [text('And')] },
    ])
  })

  it('a result may be empty, an error or an image', () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } }
    const [, empty, failed, seen] = turns(
      assistant(use('a'), use('b'), use('c')),
      user(result('a'), { ...result('b', 'boom'), is_error: true }, result('c', [image])),
    )
    assert.deepEqual(empty, { role: 'tool', callId: 'a', name: 'f', parts: [] })
    assert.deepEqual(failed, { role: 'tool', callId: 'b', name: 'f', parts: [text('boom')], isError: true })
    assert.equal(seen?.parts[0]?.type, 'image')
  })

  it('a reused id is replaced by a new one, and each result keeps its own call', () => {
    const read = turns(
      assistant(use('f_0', { turn: 1 })),
      user(result('f_0', 'one')),
      assistant(use('f_0', { turn: 2 })),
      user(result('f_0', 'two')),
    )
    const ids = read.map((message) => (message.role === 'tool' ? message.callId : undefined)).filter(Boolean)
    const calls = read.flatMap((message) => (message.role === 'assistant' ? message.toolCalls : []))
    assert.equal(ids[0], 'f_0')
    assert.notEqual(ids[1], 'f_0')
    assert.deepEqual(
      calls.map(({ id }) => id),
      ids,
    )
  })

  it('an input that is not an object is wrapped in one', () => {
    const [message] = turns(assistant(use('a', [1])))
    const call = message?.role === 'assistant' ? message.toolCalls[0] : undefined
    assert.equal(call?.arguments, '{"invalid_arguments":"[1]"}')
  })
})

describe('thinking', () => {
  const thinking = (words: string, signature: string) => ({ type: 'thinking', thinking: words, signature })

  it('a single thinking block keeps its signature, even without text', () => {
    const [said] = turns(assistant(thinking('plan', 'c2ln'), text('A')))
    const [silent] = turns(assistant(thinking('', 'c2ln')))
    assert.deepEqual(said, {
      role: 'assistant',
      parts: [text('A')],
      reasoning: 'plan',
      reasoningSignature: 'c2ln',
      toolCalls: [],
    })
    assert.ok(silent?.role === 'assistant' && silent.reasoningSignature === 'c2ln')
  })

  it('several thinking blocks are joined without a signature, and an empty signature counts as none', () => {
    const [several] = turns(assistant(thinking('a', 'x'), thinking('b', 'y')))
    const [unsigned] = turns(assistant(thinking('plan', '')))
    assert.ok(several?.role === 'assistant' && unsigned?.role === 'assistant')
    assert.equal(several.reasoning, 'a\n\nb')
    assert.equal('reasoningSignature' in several, false)
    assert.equal('reasoningSignature' in unsigned, false)
  })

  it('blocks that only Anthropic can use are dropped and reported', () => {
    const blocks = [
      { type: 'redacted_thinking', data: 'x' },
      { type: 'server_tool_use', id: 's', name: 'web_search' },
    ]
    const { extras, messages } = readMembers({ messages: [assistant(...blocks, text('A'))] })
    assert.deepEqual(Object.keys(extras), ['messages.redacted_thinking', 'messages.server_tool_use'])
    assert.deepEqual(messages[0]?.parts, [text('A')])
  })
})
