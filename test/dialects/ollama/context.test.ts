import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fitContext } from '../../../src/dialects/ollama/context.ts'

/** A prompt of about this many tokens, by the rule of four bytes each. */
function chatOf(tokens: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { messages: [{ role: 'user', content: 'x'.repeat(4 * (tokens - 4)) }], ...more }
}
const unknown = { inputSize: 0 }

test('a server whose context nobody knows or chooses is left alone, however long the prompt is', () => {
  assert.deepEqual(fitContext(chatOf(1_000_000), unknown), {})
})

test('the context is chosen in steps that hold the prompt with a margin, and the answer asked for', () => {
  const auto = { inputSize: 0, autoContext: true }
  const chosen = (body: Record<string, unknown>): unknown => fitContext(body, auto).options
  assert.deepEqual(chosen(chatOf(10)), { num_ctx: 4096 })
  // 2304 tokens and a third are 3072, and 1024 for an answer without a limit fill the first step.
  assert.deepEqual(chosen(chatOf(2304)), { num_ctx: 4096 })
  assert.deepEqual(chosen(chatOf(2308)), { num_ctx: 8192 })
  assert.deepEqual(chosen(chatOf(10, { options: { num_predict: 6000, seed: 1 } })), {
    num_predict: 6000,
    seed: 1,
    num_ctx: 8192,
  })
  assert.deepEqual(chosen(chatOf(100_000)), { num_ctx: 262_144 })
})

test('the context never goes beyond what the model holds', () => {
  const limits = { inputSize: 6000, autoContext: true }
  assert.deepEqual(fitContext(chatOf(4000), limits), { options: { num_ctx: 6000 } })
})

test('what the request or the configuration says is kept', () => {
  const limits = { inputSize: 32_768, autoContext: true }
  assert.deepEqual(fitContext(chatOf(10, { options: { num_ctx: 2048 } }), limits), {})
})

test('a prompt that would be cut is refused with both numbers', () => {
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

test('tools, calls, thoughts, images and generate prompts count', () => {
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
