import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitContext } from '../../../src/dialects/ollama/context.ts'

/** A prompt of about this many tokens, at four bytes per token. */
function chatOf(tokens: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { messages: [{ role: 'user', content: 'x'.repeat(4 * (tokens - 4)) }], ...more }
}
const unknown = { inputSize: 0 }

test('no context is set if the server’s context is neither known nor chosen, whatever the prompt length', () => {
  assert.deepEqual(fitContext(chatOf(1_000_000), unknown), {})
})

test('the context is chosen in steps that fit the prompt with a margin and the requested output', () => {
  const auto = { inputSize: 0, autoContext: true }
  const chosen = (body: Record<string, unknown>): unknown => fitContext(body, auto).options
  assert.deepEqual(chosen(chatOf(10)), { num_ctx: 4096 })
  // With a third, 2304 tokens are less than 3072; with 1024 for an unlimited response, they fit the first step.
  assert.deepEqual(chosen(chatOf(2304)), { num_ctx: 4096 })
  assert.deepEqual(chosen(chatOf(2308)), { num_ctx: 8192 })
  // A vocabulary with single digits needs a token for each of them.
  assert.deepEqual(chosen({ prompt: '0123456789'.repeat(300) }), { num_ctx: 4096 })
  assert.deepEqual(chosen({ prompt: '0123456789'.repeat(310) }), { num_ctx: 8192 })
  assert.deepEqual(chosen({ prompt: '{}[],"'.repeat(900) }), { num_ctx: 8192 })
  assert.deepEqual(chosen(chatOf(10, { options: { num_predict: 6000, seed: 1 } })), {
    num_predict: 6000,
    seed: 1,
    num_ctx: 8192,
  })
  assert.deepEqual(chosen(chatOf(100_000)), { num_ctx: 262_144 })
})

test('the context never exceeds what the model supports', () => {
  const limits = { inputSize: 6000, autoContext: true }
  assert.deepEqual(fitContext(chatOf(4000), limits), { options: { num_ctx: 6000 } })
})

test('a context set by the request or the configuration is kept', () => {
  const limits = { inputSize: 32_768, autoContext: true }
  assert.deepEqual(fitContext(chatOf(10, { options: { num_ctx: 2048 } }), limits), {})
})

test('a prompt that would be truncated is rejected with both numbers', () => {
  assert.throws(() => fitContext(chatOf(5000), { inputSize: 4096 }), {
    kind: 'context_overflow',
    status: 400,
    message: /5000.*4096/,
  })
  assert.throws(() => fitContext(chatOf(5000, { options: { num_ctx: 2048 } }), unknown), {
    message: /5000.*2048/,
  })
  assert.deepEqual(fitContext(chatOf(4096), { inputSize: 4096 }), {})
})

test('tools, calls, reasoning, images and generate prompts are counted', () => {
  const long = 'x'.repeat(4 * 5000)
  for (const body of [
    { messages: [], tools: [{ function: { name: 'f', description: long } }] },
    {
      messages: [{ role: 'assistant', content: '', tool_calls: [{ function: { arguments: { a: long } } }] }],
    },
    { messages: [{ role: 'assistant', content: '', thinking: long }] },
    { messages: [{ role: 'user', content: '', images: Array.from({ length: 8 }, () => 'AAAA') }] },
    { prompt: long },
    { prompt: '', system: long },
  ]) {
    assert.throws(() => fitContext(body, { inputSize: 4096 }), { kind: 'context_overflow' })
  }
})
