import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scanObject } from '../../src/core/json-splice.ts'
import { checkTokenCap } from '../../src/core/token-cap.ts'

/** Whether a body with this text goes through a cap of 100. */
function passes(text: string): boolean {
  const bytes = Buffer.from(text)
  const scan = scanObject(bytes)
  assert.ok(scan)
  try {
    checkTokenCap(JSON.parse(text), { bytes, scan }, 100)
    return true
  } catch {
    return false
  }
}

test('a request for no more than the cap, or for nothing, goes through', () => {
  for (const text of [
    '{}',
    '{"max_tokens":100}',
    '{"max_completion_tokens":null}',
    '{"options":{"num_predict":100}}',
    '{"options":null}',
    '{"prompt":"max_tokens: 5000"}',
    '{"metadata":{"max_tokens":5000}}',
  ])
    assert.ok(passes(text), text)
})

test('a request for more is refused, however it says so', () => {
  for (const text of [
    '{"max_tokens":101}',
    '{"max_tokens":1e9}',
    '{"max_tokens":"101"}',
    '{"max_tokens":-1}',
    '{"max_completion_tokens":101}',
    '{"max_tokens":5,"max_completion_tokens":101}',
    '{"max_output_tokens":101}',
    '{"max_new_tokens":101}',
    '{"n_predict":101}',
    '{"MAX_TOKENS":101}',
    '{"max_to\\u006bens":101}',
    '{"max_to\\u212aens":101}',
    '{"max_tokens":101,"max_tokens":5}',
    '{"max_tokens":5,"max_tokens":101}',
    '{"options":{"num_predict":101}}',
    '{"options":{"num_predict":-1}}',
    '{"options":{"num_predict":-2}}',
    '{"options":{"num_predict":0}}',
    '{"Options":{"Num_Predict":101}}',
    '{"options":{"num_predict":101},"options":{}}',
  ])
    assert.ok(!passes(text), text)
})

test('the fields of a form are looked at too', () => {
  assert.throws(() => checkTokenCap({ max_new_tokens: '101' }, undefined, 100), {
    code: 'max_tokens_exceeded',
  })
})
