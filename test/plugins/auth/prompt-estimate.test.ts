import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scanObject } from '../../../src/lib/json/splice.ts'
import { estimatePromptTokens } from '../../../src/plugins/auth/prompt-estimate.ts'

function estimate(content: unknown): number {
  const bytes = Buffer.from(JSON.stringify({ messages: [{ role: 'user', content }] }))
  const scan = scanObject(bytes) ?? assert.fail()
  return estimatePromptTokens(bytes, scan)
}

const words = 'some words '.repeat(10_000)

test('text is estimated at one token for four bytes, regardless of length and white space', () => {
  for (const text of [words, 'x'.repeat(110_000)]) {
    const tokens = estimate(text)
    assert.ok(tokens >= 27_500 && tokens < 27_600, `${tokens}`)
  }
})

test('an image has a fixed estimate, whatever its size and dialect', () => {
  const jpeg = `/9j/${'A'.repeat(400_000)}`
  for (const part of [
    { type: 'image_url', image_url: { url: `data:image/jpeg;base64,${jpeg}` } },
    { type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: jpeg } },
  ]) {
    const tokens = estimate([part])
    assert.ok(tokens >= 1_600 && tokens < 1_700, `${tokens}`)
    const withText = estimate([part, { type: 'text', text: words }])
    assert.ok(withText >= 29_100 && withText < 29_300, `${withText}`)
  }
})

test('the estimate of a PDF depends on its number of pages', () => {
  const tokens = estimate([{ type: 'document', source: { data: `JVBERi0xLjQK${'A'.repeat(400_000)}` } }])
  assert.ok(tokens >= 17_600 && tokens < 17_800, `${tokens}`)
})
