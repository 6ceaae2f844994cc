import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AssistantMessage, ChatMessage, ToolMessage, UserPart } from '../../../src/sdk/chat.ts'
import { refusedAt, sent, sentTurns } from './support.ts'

const text = (value: string) => ({ type: 'text' as const, text: value })
const user = (...parts: UserPart[]): ChatMessage => ({ role: 'user', parts })
const system = (value: string): ChatMessage => ({ role: 'system', developer: false, parts: [text(value)] })
const said = (value: string): AssistantMessage => ({
  role: 'assistant',
  parts: [text(value)],
  reasoning: '',
  toolCalls: [],
})
const called = (...ids: string[]): AssistantMessage => ({
  ...said(''),
  toolCalls: ids.map((id) => ({ id, name: 'f', arguments: '{"a":1}' })),
})
const result = (callId: string, value: string): ToolMessage => ({
  role: 'tool',
  callId,
  parts: [text(value)],
})
const answered = (id: string, value: string) => ({
  type: 'tool_result',
  tool_use_id: id,
  content: [text(value)],
})
const use = (id: string) => ({ type: 'tool_use', id, name: 'f', input: { a: 1 } })

describe('turns', () => {
  it('leading system messages become the system prompt, later ones become user text and are reported', () => {
    const { body, lost } = sent({ messages: [system('A'), system('B'), user(text('Hi')), system('C')] })
    assert.deepEqual(body.system, [text('A'), text('B')])
    assert.deepEqual(body.messages, [{ role: 'user', content: [text('Hi'), text('<system>\nC\n</system>')] }])
    assert.deepEqual(lost, ['messages.system'])
  })

  it('turns of the same role are merged, and blank texts and empty turns are omitted', () => {
    const messages = [
      user(text('A')),
      user(text(' ')),
      user(text('B')),
      said(''),
      said('C'),
      said('D'),
      user(text('E')),
    ]
    assert.deepEqual(sentTurns(...messages), [
      { role: 'user', content: [text('A'), text('B')] },
      { role: 'assistant', content: [text('C'), text('D')] },
      { role: 'user', content: [text('E')] },
    ])
  })

  it('the first turn is the user’s, and a prefilled response has no trailing white space', () => {
    assert.deepEqual(sentTurns(said('The answer is \n')), [
      { role: 'user', content: [text('(continue)')] },
      { role: 'assistant', content: [text('The answer is')] },
    ])
  })

  it('reasoning is sent back only with its signature', () => {
    const thoughtful: AssistantMessage = { ...said('A'), reasoning: 'plan' }
    const unsigned = sent({ messages: [user(text('Hi')), thoughtful, user(text('B'))] })
    assert.doesNotMatch(JSON.stringify(unsigned.body.messages), /plan/)
    assert.deepEqual(unsigned.lost, ['messages.reasoning'])
    const signed = sentTurns(user(text('Hi')), { ...thoughtful, reasoningSignature: 'c2ln' }, user(text('B')))
    assert.deepEqual((signed as { content: unknown[] }[])[1]?.content, [
      { type: 'thinking', thinking: 'plan', signature: 'c2ln' },
      text('A'),
    ])
  })
})

describe('tool results', () => {
  it('tool results of one turn are grouped in the order of the calls, before the user’s text', () => {
    const messages = [
      user(text('Hi')),
      called('a', 'b'),
      user(text('And')),
      result('b', 'two'),
      result('a', 'one'),
    ]
    assert.deepEqual(sentTurns(...messages), [
      { role: 'user', content: [text('Hi')] },
      { role: 'assistant', content: [use('a'), use('b')] },
      { role: 'user', content: [answered('a', 'one'), answered('b', 'two'), text('And')] },
    ])
  })

  it('missing tool results are filled in as failed, even at the end', () => {
    const missing = { ...answered('b', 'No result'), is_error: true }
    assert.deepEqual(sentTurns(user(text('Hi')), called('a', 'b'), result('a', 'one')), [
      { role: 'user', content: [text('Hi')] },
      { role: 'assistant', content: [use('a'), use('b')] },
      { role: 'user', content: [answered('a', 'one'), missing] },
    ])
    assert.deepEqual((sentTurns(user(text('Hi')), called('b')) as unknown[])[2], {
      role: 'user',
      content: [missing],
    })
  })

  it('tool results without a call become user text and are reported', () => {
    const { body, lost } = sent({ messages: [user(text('Hi')), result('gone', 'x')] })
    assert.deepEqual(body.messages, [{ role: 'user', content: [text('Hi'), text('x')] }])
    assert.deepEqual(lost, ['messages.tool_call_id'])
  })

  it('failed tool results are marked as errors, and empty ones have no content', () => {
    const failed: ToolMessage = { ...result('a', 'boom'), isError: true }
    const empty: ToolMessage = { role: 'tool', callId: 'b', parts: [] }
    assert.deepEqual((sentTurns(user(text('Hi')), called('a', 'b'), failed, empty) as unknown[])[2], {
      role: 'user',
      content: [
        { ...answered('a', 'boom'), is_error: true },
        { type: 'tool_result', tool_use_id: 'b' },
      ],
    })
  })

  it('an id with invalid characters is replaced identically in the call and in the result', () => {
    const turns = sentTurns(user(text('Hi')), called('functions.f:0'), result('functions.f:0', 'one'))
    const [, calls, results] = turns as {
      content: { id?: string; tool_use_id?: string; content: unknown }[]
    }[]
    assert.match(calls?.content[0]?.id ?? '', /^toolu_[a-f0-9]{24}$/)
    assert.equal(results?.content[0]?.tool_use_id, calls?.content[0]?.id)
    assert.deepEqual(results?.content[0]?.content, [text('one')])
  })
})

describe('content parts', () => {
  const png = 'iVBORw0KGgoAAAANSUhEUg=='

  it('an image gets the media type found in its bytes', () => {
    const image: UserPart = { type: 'image', source: { kind: 'base64', mediaType: 'image/jpeg', data: png } }
    assert.deepEqual(sentTurns(user(image)), [
      {
        role: 'user',
        content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }],
      },
    ])
  })

  it('a PDF and a plain text become documents', () => {
    const pdf: UserPart = { type: 'file', data: 'data:application/pdf;base64,JVBERi0xLjc=', name: 'a.pdf' }
    const plain: UserPart = {
      type: 'file',
      data: `data:text/plain;base64,${Buffer.from('Łódź').toString('base64')}`,
    }
    assert.deepEqual((sentTurns(user(pdf, plain)) as { content: unknown }[])[0]?.content, [
      {
        type: 'document',
        source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0xLjc=' },
        title: 'a.pdf',
      },
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Łódź' } },
    ])
  })

  it('content that Anthropic cannot read is rejected with its path', () => {
    const refused: UserPart[] = [
      { type: 'audio', data: 'AAAA', format: 'wav' },
      { type: 'image', source: { kind: 'url', url: 'http://example.org/a.png' } },
      { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' } },
      { type: 'file', fileId: 'file-1' },
      { type: 'file', data: 'data:application/zip;base64,AAAA' },
    ]
    for (const part of refused)
      assert.equal(
        refusedAt(() => sentTurns(user(part))),
        'messages[0].content',
        part.type,
      )
  })
})
