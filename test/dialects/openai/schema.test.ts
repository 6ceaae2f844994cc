import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Value } from '@sinclair/typebox/value'
import { OpenaiChatBody } from '../../../src/dialects/openai/request/schema.ts'
import { messages } from '../../helpers/messages.ts'

function fits(body: unknown): boolean {
  return Value.Check(OpenaiChatBody, body)
}

it('a minimal body is valid, with or without a model', () => {
  assert.ok(fits({ messages }))
  assert.ok(fits({ model: 'm', messages }))
  assert.ok(fits({ model_name: 'm', messages }))
})

it('null counts as an absent field', () => {
  const optional = Object.keys(OpenaiChatBody.properties).filter((name) => name !== 'messages')
  assert.ok(fits({ messages, ...Object.fromEntries(optional.map((name) => [name, null])) }))
})

it('unknown fields are allowed at every level', () => {
  assert.ok(
    fits({
      messages: [{ role: 'user', content: [{ type: 'video_url', video_url: {} }], cache: 1 }],
      guided_choice: ['a'],
    }),
  )
})

it('messages must be a non-empty list with known roles and readable content', () => {
  for (const wrong of [
    undefined,
    null,
    [],
    {},
    'Hi',
    ['Hi'],
    [{ content: 'Hi' }],
    [{ role: 'human', content: 'Hi' }],
  ]) {
    assert.ok(!fits({ messages: wrong }), JSON.stringify(wrong))
  }
  for (const content of [7, { text: 'Hi' }, [7], [{ text: 'Hi' }]]) {
    assert.ok(!fits({ messages: [{ role: 'user', content }] }), JSON.stringify(content))
  }
  assert.ok(fits({ messages: [{ role: 'assistant', content: null }, { role: 'assistant' }] }))
})

it('stream may be "true" or "false" as a string, but nothing else', () => {
  assert.ok(fits({ messages, stream: 'true' }))
  assert.ok(fits({ messages, stream: 'false' }))
  assert.ok(!fits({ messages, stream: 'yes' }))
  assert.ok(!fits({ messages, stream: 1 }))
})

it('numbers, stop sequences and tools must have their types', () => {
  assert.ok(
    fits({ messages, stop: ['a'], temperature: 0.5, max_tokens: -1, logit_bias: { 5: 1 }, tools: [] }),
  )
  const wrong = [
    { temperature: 'hot' },
    { max_tokens: 1.5 },
    { n: 0 },
    { stop: [1] },
    { tools: {} },
    { tools: [{ type: 'function', function: { name: '' } }] },
    { tools: [{ type: 'function', function: { name: 'f', parameters: [] } }] },
    { stream_options: true },
    { response_format: 'json' },
  ]
  for (const members of wrong) assert.ok(!fits({ messages, ...members }), JSON.stringify(members))
})
