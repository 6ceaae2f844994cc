import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Spending, spentTokens } from '../../../src/plugins/auth/limit-use.ts'

const spending: Spending = {
  usage: undefined,
  end: 'well',
  generates: true,
  stream: true,
  promptTokens: 1_000,
  expectedTokens: 500,
  answerBytes: 12_800,
  sinceSentMs: 2_000,
}
const usage = { promptTokens: 900, completionTokens: 80 }

function spent(more: Partial<Spending>): number {
  return spentTokens({ ...spending, ...more })
}

test('an answer that ended well takes what was counted, else what its bytes tell', () => {
  assert.equal(spent({ usage }), 980)
  assert.equal(spent({}), 1_100)
  assert.equal(spent({ stream: false }), 4_200)
  assert.equal(spent({ generates: false }), 1_000, 'the bytes of vectors or sound are no tokens')
})

test('a stream that its client or its upstream broke off takes what was sent, or counted if that is more', () => {
  for (const end of ['left', 'error'] as const) {
    assert.equal(spent({ end }), 1_100)
    assert.equal(spent({ end, usage }), 1_000)
    assert.equal(spent({ end, usage: { promptTokens: 900, completionTokens: 300 } }), 1_200)
  }
  assert.equal(spent({ end: 'left', answerBytes: 0 }), 1_000, 'before its first content')
})

test('a whole answer that its client gave up takes what may have been written meanwhile', () => {
  const left: Partial<Spending> = { end: 'left', stream: false, answerBytes: 0 }
  assert.equal(spent(left), 1_100)
  assert.equal(spent({ ...left, sinceSentMs: 60_000 }), 1_500)
  assert.equal(spent({ ...left, generates: false }), 1_000)
})

test('what never went upstream, or failed before any content, takes nothing', () => {
  assert.equal(spent({ end: 'left', sinceSentMs: undefined, answerBytes: 0 }), 0)
  assert.equal(spent({ end: 'error', sinceSentMs: undefined, answerBytes: 0 }), 0)
  assert.equal(spent({ end: 'error', answerBytes: 0 }), 0)
  assert.equal(spent({ end: 'error', answerBytes: 0, usage }), 980, 'but for what was counted')
})
