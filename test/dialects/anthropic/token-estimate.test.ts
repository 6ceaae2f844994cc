import assert from 'node:assert/strict'
import { it } from 'node:test'
import { estimateTokens } from '../../../src/dialects/anthropic/token-estimate.ts'

const turn = 4

function ofContent(...content: object[]): number {
  return estimateTokens({ messages: [{ role: 'user', content }] })
}

it('an estimate is a third of all characters, rounded up, plus a constant for each turn', () => {
  const messages = [
    { role: 'user', content: 'abcdefg' },
    { role: 'assistant', content: [{ type: 'text', text: 'abc' }] },
  ]
  assert.equal(estimateTokens({ messages }), Math.ceil(10 / 3) + 2 * turn)
  assert.equal(estimateTokens({ messages, system: 'abcdef' }), Math.ceil(16 / 3) + 2 * turn)
  assert.equal(
    estimateTokens({ messages, system: [{ type: 'text', text: 'abcdef' }] }),
    estimateTokens({ messages, system: 'abcdef' }),
  )
})

it('tools are counted as their JSON', () => {
  const tools = [{ name: 'f', input_schema: { type: 'object' } }]
  const json = JSON.stringify(tools[0]).length
  assert.equal(estimateTokens({ messages: [], tools }), Math.ceil(json / 3))
})

it('an image has a fixed count, whatever the size of its data, even within a tool result', () => {
  const image = {
    type: 'image',
    source: { type: 'base64', media_type: 'image/png', data: 'A'.repeat(90_000) },
  }
  assert.equal(ofContent(image), 1_600 + turn)
  const result = { type: 'tool_result', tool_use_id: 'a', content: [image, { type: 'text', text: 'abc' }] }
  assert.equal(ofContent(result), 1_600 + 1 + turn)
})

it('tool calls, thinking and documents are counted', () => {
  assert.equal(
    ofContent({ type: 'tool_use', id: 'a', name: 'f', input: { a: 1 } }),
    Math.ceil(8 / 3) + 2 * turn,
  )
  assert.equal(ofContent({ type: 'thinking', thinking: 'abcdef', signature: 'x'.repeat(900) }), 2 + turn)
  assert.equal(ofContent({ type: 'document', source: { type: 'text', data: 'abcdef' } }), 2 + turn)
  const pdf = { type: 'document', source: { type: 'base64', data: 'A'.repeat(80_001) } }
  assert.equal(ofContent(pdf), 3 * 1_600 + turn)
})
