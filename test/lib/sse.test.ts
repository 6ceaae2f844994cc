import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SseEvent, SseReader } from '../../src/lib/bytes/sse.ts'

function eventsOf(text: string, cut: number | 'bytes'): SseEvent[] {
  const bytes = Buffer.from(text)
  const chunks =
    cut === 'bytes'
      ? [...bytes].map((byte) => Buffer.from([byte]))
      : [bytes.subarray(0, cut), bytes.subarray(cut)]
  const reader = new SseReader()
  const events: SseEvent[] = []
  for (const chunk of chunks) reader.push(chunk, (event) => events.push(event))
  reader.end((event) => events.push(event))
  return events
}

function everyCut(text: string, expected: SseEvent[]): void {
  for (let cut = 0; cut <= Buffer.byteLength(text); cut++)
    assert.deepEqual(eventsOf(text, cut), expected, `cut at ${cut}`)
  assert.deepEqual(eventsOf(text, 'bytes'), expected)
}

test('events, names, several data lines and comments are parsed correctly, wherever the bytes are split', () => {
  everyCut(': hello\n\nevent: a\ndata: one\ndata:two\nid: 7\nretry: 1\n\ndata: {"x":"ż🦙"}\n\n', [
    { event: 'a', data: 'one\ntwo' },
    { event: '', data: '{"x":"ż🦙"}' },
  ])
})

test('CRLF and lone CR end lines like LF', () => {
  everyCut('data: a\r\n\r\ndata: b\r\rdata: c\n\n', [
    { event: '', data: 'a' },
    { event: '', data: 'b' },
    { event: '', data: 'c' },
  ])
})

test('only one space after the colon is removed; a field without a colon has an empty value', () => {
  everyCut('data:  x\n\ndata\n\n', [
    { event: '', data: ' x' },
    { event: '', data: '' },
  ])
})

test('an event name without data is not reported and does not apply to the next event', () => {
  everyCut('event: ping\n\ndata: x\n\n', [{ event: '', data: 'x' }])
})

test('a last event without its empty line is still parsed', () => {
  everyCut('data: a\n\ndata: [DONE]', [
    { event: '', data: 'a' },
    { event: '', data: '[DONE]' },
  ])
})

test('an event of many lines that never ends is rejected instead of filling the memory', () => {
  const reader = new SseReader(10)
  reader.push(Buffer.from('data: 12345\n'), () => assert.fail('no event yet'))
  assert.throws(() => reader.push(Buffer.from('data: 67890\n'), () => undefined), RangeError)
})
