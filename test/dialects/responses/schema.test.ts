import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Value } from '@sinclair/typebox/value'
import { ResponsesBody } from '../../../src/dialects/responses/request/schema.ts'

function takes(members: object): boolean {
  return Value.Check(ResponsesBody, { model: 'm', input: 'Hi', ...members })
}

it('optional fields may be absent or null, and unknown fields are allowed', () => {
  assert.ok(takes({}))
  assert.ok(takes({ temperature: null, tools: null, text: null, future_field: { a: 1 } }))
  assert.ok(
    takes({
      input: [
        { role: 'user', content: 'Hi' },
        { type: 'item_reference', id: 'x' },
      ],
    }),
  )
  assert.ok(takes({ tools: [{ type: 'web_search' }, { type: 'function', name: 'f' }], tool_choice: 'auto' }))
  assert.ok(takes({ stream: 'true', reasoning: { effort: 'low', summary: null } }))
})

it('a field of the wrong type is rejected', () => {
  const wrong = [
    { input: 5 },
    { input: ['Hi'] },
    { max_output_tokens: 0 },
    { temperature: '1' },
    { tools: [{ name: 'f' }] },
    { text: { format: {} } },
    { store: 'no' },
    { include: 'x' },
    { previous_response_id: 7 },
    { stream: 1 },
  ]
  for (const members of wrong) assert.equal(takes(members), false, JSON.stringify(members))
})
