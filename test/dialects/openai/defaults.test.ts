import assert from 'node:assert/strict'
import { it } from 'node:test'
import { missingDefaults } from '../../../src/dialects/openai/request/sampling.ts'

it('a default fills what is absent or null, and leaves what was sent', () => {
  assert.deepEqual(
    missingDefaults({ temperature: 0, top_p: null }, { temperature: 1, top_p: 0.5, seed: 3, user: null }),
    {
      top_p: 0.5,
      seed: 3,
    },
  )
})

it('the two names of the limit count as one', () => {
  assert.deepEqual(missingDefaults({ max_completion_tokens: 5 }, { max_tokens: 9 }), {})
  assert.deepEqual(
    missingDefaults({ max_tokens: 5 }, { max_completion_tokens: 9, options: { num_predict: 3 } }),
    {},
  )
  assert.deepEqual(missingDefaults({}, { max_tokens: 9, max_completion_tokens: 8 }), { max_tokens: 9 })
})

it('objects are filled up member by member', () => {
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

it('an object that names its own kind is not mixed with another', () => {
  const defaults = { response_format: { type: 'json_schema', json_schema: {} } }
  assert.deepEqual(missingDefaults({ response_format: { type: 'text' } }, defaults), {})
})

it('options of a stream are no default for an answer that is not streamed', () => {
  const defaults = { stream_options: { continuous_usage_stats: true } }
  assert.deepEqual(missingDefaults({ stream: false }, defaults), {})
  assert.deepEqual(missingDefaults({ stream: true }, defaults), defaults)
})

it("Ollama's options are understood, and what only Ollama has is passed over", () => {
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
