import assert from 'node:assert/strict'
import { it } from 'node:test'
import { missingDefaults } from '../../../src/dialects/openai/request/sampling.ts'

it('a default fills what is absent or null, and keeps what was sent', () => {
  assert.deepEqual(
    missingDefaults({ temperature: 0, top_p: null }, { temperature: 1, top_p: 0.5, seed: 3, user: null }),
    {
      top_p: 0.5,
      seed: 3,
    },
  )
})

it('max_tokens and max_completion_tokens count as the same limit', () => {
  assert.deepEqual(missingDefaults({ max_completion_tokens: 5 }, { max_tokens: 9 }), {})
  assert.deepEqual(
    missingDefaults({ max_tokens: 5 }, { max_completion_tokens: 9, options: { num_predict: 3 } }),
    {},
  )
  assert.deepEqual(missingDefaults({}, { max_tokens: 9, max_completion_tokens: 8 }), { max_tokens: 9 })
})

it('objects are filled member by member', () => {
  const defaults = { chat_template_kwargs: { enable_thinking: false, other: 1 } }
  assert.deepEqual(missingDefaults({ chat_template_kwargs: { enable_thinking: true } }, defaults), {
    chat_template_kwargs: { enable_thinking: true, other: 1 },
  })
  assert.deepEqual(
    missingDefaults({ chat_template_kwargs: { enable_thinking: true, other: 2 } }, defaults),
    {},
  )
  assert.deepEqual(missingDefaults({ chat_template_kwargs: 'x' }, defaults), {})
})

it('an object with a type of its own is not merged with a default', () => {
  const defaults = { response_format: { type: 'json_schema', json_schema: {} } }
  assert.deepEqual(missingDefaults({ response_format: { type: 'text' } }, defaults), {})
})

it('a default for stream_options applies to streams only', () => {
  const defaults = { stream_options: { continuous_usage_stats: true } }
  assert.deepEqual(missingDefaults({ stream: false }, defaults), {})
  assert.deepEqual(missingDefaults({ stream: true }, defaults), defaults)
})

it("Ollama's options are accepted as defaults, and those that only Ollama has are ignored", () => {
  const options = {
    temperature: 0.1,
    num_predict: 50,
    num_ctx: 8192,
    repeat_penalty: 1.1,
    seed: -1,
    stop: ['a'],
  }
  assert.deepEqual(missingDefaults({ stop: 'b' }, { options, keep_alive: '5m' }), {
    temperature: 0.1,
    max_tokens: 50,
  })
  assert.deepEqual(missingDefaults({}, { options: { num_predict: -1 } }), {})
  assert.deepEqual(missingDefaults({}, { options: { temperature: 0.1 }, temperature: 0.7 }), {
    temperature: 0.7,
  })
})
