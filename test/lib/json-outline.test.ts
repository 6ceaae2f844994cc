import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scanObject } from '../../src/lib/json/splice.ts'
import { isMostlyLong, outlineOf } from '../../src/plugins/body/outline.ts'

const longText = 'x'.repeat(5_000)

function outlined(json: string): unknown {
  const bytes = Buffer.from(json)
  const scan = scanObject(bytes)
  assert.ok(scan)
  return JSON.parse(outlineOf(bytes, scan))
}

test('long nested strings are truncated, everything else stays', () => {
  const url = `data:image/png;base64,${longText}`
  const body = {
    model: 'demo',
    n: 1.5,
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: longText },
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url } },
          { type: 'text', text: 'What?' },
        ],
      },
    ],
  }
  const cut = structuredClone(body)
  Object.assign(cut.messages[1] ?? {}, { content: `${longText.slice(0, 48)}…` })
  Object.assign(cut.messages[2] ?? {}, {
    content: [
      { type: 'image_url', image_url: { url: `${url.slice(0, 48)}…` } },
      { type: 'text', text: 'What?' },
    ],
  })
  assert.deepEqual(outlined(JSON.stringify(body)), cut)
})

test('a string is truncated before its first escape or multi-byte character, never within one', () => {
  for (const [start, kept] of [
    ['ab\\"cd', 'ab…'],
    ['ab\\\\cd', 'ab…'],
    ['\\u0041b', '…'],
    ['abü', 'ab…'],
    ['🙂', '…'],
  ]) {
    assert.deepEqual(outlined(`{"a":[{"b":"${start}${longText}"},"c"]}`), { a: [{ b: kept }, 'c'] })
  }
})

test('top-level members and names, which routing depends on, are never truncated', () => {
  const body = { model: `m${longText}`, messages: [{ [longText]: 1, [`${longText}2`]: { a: 'b' } }] }
  assert.deepEqual(outlined(JSON.stringify(body)), body)
})

test('escaped quotes and backslashes do not end a string early', () => {
  const text = `${longText}\\"${longText}\\\\`
  assert.deepEqual(outlined(`{"a":["${text}", "b"]}`), { a: [`${longText.slice(0, 48)}…`, 'b'] })
})

test('only bodies that mostly consist of long strings are outlined', () => {
  const mostly = (json: string): boolean => {
    const bytes = Buffer.from(json)
    const scan = scanObject(bytes)
    return scan !== undefined && isMostlyLong(bytes, scan)
  }
  assert.equal(mostly(JSON.stringify({ messages: [{ content: longText }] })), true)
  const short = Array.from({ length: 1_000 }, () => ({ content: 'x'.repeat(100) }))
  assert.equal(mostly(JSON.stringify({ messages: [...short, { content: longText }] })), false)
})
