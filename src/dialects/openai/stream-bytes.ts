import { isLineEnd } from '../../lib/bytes/sse-search.ts'

const space = 0x20
const tab = 0x09
const quote = 0x22
const colon = 0x3a
const openBracket = 0x5b
const closeBracket = 0x5d

/*
 * Searches in JSON inside of server-sent events. A quote inside a JSON string is escaped, so `"name"` with its quotes is
 * always a whole key or value.
 */

/** Whether `at` to `end` is the whole value of this field on its line: `data: [DONE]`, `event: error`. */
export function isWholeField(bytes: Buffer, field: Buffer, at: number, end: number): boolean {
  let start = at
  while (bytes[start - 1] === space) start--
  start -= field.length
  if (start < 0 || (start > 0 && !isLineEnd(bytes[start - 1]))) return false
  if (bytes.compare(field, 0, field.length, start, start + field.length) !== 0) return false
  const next = bytes[skipSpace(bytes, end)]
  return next === undefined || isLineEnd(next)
}

/** Whether `at` to `end` stands between quotes. */
export function isQuoted(bytes: Buffer, at: number, end: number): boolean {
  return bytes[at - 1] === quote && bytes[end] === quote
}

/** Offset of the value whose key ends before `keyEnd`; undefined where no colon follows, so that it is no key. */
export function valueAfter(bytes: Buffer, keyEnd: number): number | undefined {
  const at = skipSpace(bytes, keyEnd)
  return bytes[at] === colon ? skipSpace(bytes, at + 1) : undefined
}

/** Whether a filled string stands here. */
export function isFilledString(bytes: Buffer, at: number): boolean {
  return bytes[at] === quote && bytes[at + 1] !== quote
}

export function isEmptyList(bytes: Buffer, at: number): boolean {
  return bytes[at] === openBracket && bytes[skipSpace(bytes, at + 1)] === closeBracket
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from
  while (bytes[at] === space || bytes[at] === tab) at++
  return at
}
