import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Value } from '@sinclair/typebox/value'
import { AnthropicCountBody, AnthropicMessagesBody } from '../../../src/dialects/anthropic/request/schema.ts'
import { hi } from './support.ts'

const least = { model: 'm', max_tokens: 1, messages: [hi] }

function fits(members: object): boolean {
  return Value.Check(AnthropicMessagesBody, { ...least, ...members })
}

it('requests of the official clients are accepted, with options set to null and unknown fields and blocks', () => {
  assert.ok(fits({}))
  assert.ok(
    fits({ system: [{ type: 'text', text: 'A', cache_control: { type: 'ephemeral' } }], thinking: null }),
  )
  assert.ok(fits({ tools: [{ type: 'web_search_20250305', name: 'web_search' }], container: { skills: [] } }))
  assert.ok(fits({ messages: [{ role: 'user', content: [{ type: 'brand_new', x: 1 }] }] }))
  assert.ok(fits({ messages: [hi, { role: 'system', content: 'A' }] }))
})

it('invalid requests are rejected', () => {
  for (const members of [
    { max_tokens: undefined },
    { max_tokens: 1.5 },
    { messages: [] },
    { messages: [{ role: 'tool', content: 'A' }] },
    { messages: [{ role: 'user' }] },
    { messages: [{ role: 'user', content: [{ text: 'A' }] }] },
    { system: 7 },
    { stop_sequences: 'END' },
    { tools: {} },
    { stream: 'yes' },
  ]) {
    assert.equal(fits(members), false, JSON.stringify(members))
  }
})

it('a token count request needs no max_tokens', () => {
  assert.ok(Value.Check(AnthropicCountBody, { model: 'm', messages: [hi] }))
})
