import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scanObject } from '../../../src/lib/json/splice.ts'
import { checkTokenCap, requestedTokens } from '../../../src/plugins/auth/token-cap.ts'

/** Whether a body with this text is within a cap of 100. */
function passes(text: string): boolean {
  const bytes = Buffer.from(text)
  const scan = scanObject(bytes)
  assert.ok(scan)
  try {
    checkTokenCap({ body: JSON.parse(text), raw: { bytes, scan } }, 100)
    return true
  } catch {
    return false
  }
}

test('a request within the cap, or without a limit of its own, is accepted', () => {
  for (const text of [
    '{}',
    '{"max_tokens":100}',
    '{"max_completion_tokens":null}',
    '{"options":{"num_predict":100}}',
    '{"options":null}',
    '{"prompt":"max_tokens: 5000"}',
    '{"metadata":{"max_tokens":5000}}',
    '{"max_tokens":50,"n":2}',
    '{"max_tokens":50,"n":2,"best_of":2}',
    '{"max_tokens":100,"n":null,"best_of":1}',
    '{"max_tokens":50,"prompt":["a","b"]}',
    '{"max_tokens":100,"prompt":[1,2,3,4]}',
    '{"n":100}',
  ])
    assert.ok(passes(text), text)
})

test('a request above the cap is rejected, whichever field sets the limit', () => {
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
    '{"max_tokens":51,"n":2}',
    '{"max_tokens":51,"n":"2"}',
    '{"max_tokens":51,"best_of":2}',
    '{"max_tokens":51,"n":1,"best_of":2}',
    '{"max_tokens":51,"n_cmpl":2}',
    '{"max_tokens":51,"N":2}',
    '{"max_tokens":51,"n":2,"n":1}',
    '{"max_tokens":51,"n":1,"n":2}',
    '{"max_tokens":34,"prompt":["a","b","c"]}',
    '{"max_tokens":34,"prompt":[[1],[2],[3]]}',
    '{"max_tokens":17,"prompt":["a","b","c"],"n":2}',
    '{"n":101}',
    '{"best_of":101}',
  ])
    assert.ok(!passes(text), text)
})

test('the fields of a form are checked too', () => {
  assert.throws(() => checkTokenCap({ body: { max_new_tokens: '101' }, raw: undefined }, 100), {
    code: 'max_tokens_exceeded',
  })
})

test('the number of responses that a request asks for is multiplied, and the limits of each are returned', () => {
  const body = { max_tokens: 7, n: 2, best_of: 3, prompt: ['a', 'b'], options: { num_predict: -1 } }
  const { answers, bounds } = requestedTokens({ body, raw: undefined })
  assert.equal(answers, 6)
  assert.deepEqual(
    bounds.map(({ tokens }) => tokens),
    [7, Number.POSITIVE_INFINITY],
  )
})
