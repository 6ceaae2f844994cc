import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { anthropic } from '../../../src/dialects/anthropic/index.ts'
import { missingDefaults } from '../../../src/dialects/anthropic/request/sampling.ts'
import { applyEdits, scanObject } from '../../../src/lib/json/splice.ts'

describe('the limit that Anthropic requires', () => {
  it('max_tokens is the client’s, else the operator’s under any of its names, else 4096', () => {
    assert.deepEqual(missingDefaults({ max_tokens: 5 }, { max_tokens: 9 }), {})
    assert.deepEqual(missingDefaults({}, { max_tokens: 9 }), { max_tokens: 9 })
    assert.deepEqual(missingDefaults({}, { max_completion_tokens: 9 }), { max_tokens: 9 })
    assert.deepEqual(missingDefaults({}, { options: { num_predict: 9 } }), { max_tokens: 9 })
    assert.deepEqual(missingDefaults({}, {}), { max_tokens: 4_096 })
    assert.deepEqual(missingDefaults({}, { options: { num_predict: -1 } }), { max_tokens: 4_096 })
  })

  it('max_tokens exceeds the thinking budget', () => {
    const thinking = { type: 'enabled', budget_tokens: 5_000 }
    assert.deepEqual(missingDefaults({ thinking }, {}), { max_tokens: 21_384 })
    assert.deepEqual(missingDefaults({ thinking }, { max_tokens: 8_000 }), { max_tokens: 8_000 })
    assert.deepEqual(missingDefaults({ thinking }, { max_tokens: 4_000 }), { max_tokens: 9_000 })
  })
})

describe('other defaults', () => {
  const body = { max_tokens: 5 }

  it('defaults under the names of any dialect fill what is missing', () => {
    const defaults = { temperature: 1.5, stop: 'END', service_tier: 'standard_only', options: { top_k: 4 } }
    assert.deepEqual(missingDefaults({ ...body, top_k: 1 }, defaults), {
      temperature: 1,
      stop_sequences: ['END'],
      service_tier: 'standard_only',
    })
  })

  it('defaults that Anthropic would reject are ignored', () => {
    const defaults = { seed: 1, min_p: 0.1, keep_alive: -1, options: { num_ctx: 4096 }, stream_options: {} }
    assert.deepEqual(missingDefaults(body, defaults), {})
  })

  it('defaults complete an object, unless it names its type', () => {
    const defaults = { output_config: { effort: 'low' }, tool_choice: { disable_parallel_tool_use: true } }
    assert.deepEqual(
      missingDefaults({ ...body, output_config: { format: 1 }, tool_choice: { type: 'any' } }, defaults),
      {
        output_config: { format: 1, effort: 'low' },
      },
    )
  })

  it('sampling defaults are not added to a request with thinking', () => {
    const defaults = { temperature: 0.2, top_k: 4 }
    assert.deepEqual(missingDefaults({ ...body, thinking: { type: 'adaptive' } }, defaults), {})
    assert.deepEqual(missingDefaults({ ...body, thinking: { type: 'disabled' } }, defaults), defaults)
  })
})

describe('stream member of a passthrough request', () => {
  function edited(text: string, stream: boolean): string {
    const bytes = Buffer.from(text)
    const scan = scanObject(bytes)
    assert.ok(scan)
    const request = { bytes, scan, body: JSON.parse(text), stream, wantUsage: true }
    const { edits, stripUsage } = anthropic.chat.passthroughEdits(request)
    assert.equal(stripUsage, false)
    return applyEdits(bytes, edits).toString()
  }

  it('stream is written only if the server would understand something else', () => {
    assert.equal(edited('{ "max_tokens": 1e1 }', false), '{ "max_tokens": 1e1 }')
    assert.equal(edited('{"stream":true}', true), '{"stream":true}')
    assert.equal(edited('{"stream":"true"}', true), '{"stream":true}')
    assert.deepEqual(JSON.parse(edited('{"a":-0}', true)), { a: -0, stream: true })
  })
})
