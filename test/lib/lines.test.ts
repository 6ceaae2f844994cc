import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LineSplitter } from '../../src/lib/bytes/lines.ts'

function linesOf(chunks: Buffer[], loneCr: boolean): string[] {
  const splitter = new LineSplitter({ loneCr })
  const lines: string[] = []
  for (const chunk of chunks) splitter.push(chunk, (line) => lines.push(line))
  const rest = splitter.rest()
  return rest === undefined ? lines : [...lines, rest]
}

function cutEverywhere(bytes: Buffer): Buffer[][] {
  const cuts = [...bytes.keys()].map((at) => [bytes.subarray(0, at), bytes.subarray(at)])
  return [...cuts, [...bytes].map((byte) => Buffer.from([byte]))]
}

test('lines end at LF and CRLF, and characters split across chunks are joined', () => {
  const bytes = Buffer.from('one\r\nzwölf 🦙\n\nlast')
  for (const chunks of cutEverywhere(bytes)) {
    assert.deepEqual(linesOf(chunks, false), ['one', 'zwölf 🦙', '', 'last'])
  }
})

test('a lone CR ends a line only where the format says so', () => {
  const bytes = Buffer.from('a\rb\r\nc\n')
  for (const chunks of cutEverywhere(bytes)) {
    assert.deepEqual(linesOf(chunks, true), ['a', 'b', 'c'])
    assert.deepEqual(linesOf(chunks, false), ['a\rb', 'c'])
  }
})

test('a byte order mark at the beginning is not part of the text', () => {
  for (const chunks of cutEverywhere(Buffer.from('\ufeffa\n\ufeffb\n'))) {
    assert.deepEqual(linesOf(chunks, true), ['a', '\ufeffb'])
  }
})

test('a line that never ends is rejected instead of filling the memory', () => {
  const splitter = new LineSplitter({ loneCr: false, maxBytes: 10 })
  splitter.push(Buffer.from('12345'), () => assert.fail('no line yet'))
  assert.throws(() => splitter.push(Buffer.from('678901'), () => undefined), RangeError)
})
