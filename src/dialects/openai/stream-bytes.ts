import { type SseEvent, SseReader } from '../../core/sse.ts'

const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const tab = 0x09
const quote = 0x22
const colon = 0x3a
const openBracket = 0x5b
const closeBracket = 0x5d
const twoReturns = Buffer.from('\r\r')

/*
 * Searches in the bytes of server-sent events (WHATWG HTML, "Server-sent events"). Line ends never stand inside JSON,
 * and a quote inside a JSON string is escaped, so `"name"` with its quotes is always a whole key or value.
 */

export function hasLineEnd(bytes: Buffer): boolean {
  return bytes.includes(lineFeed) || bytes.includes(carriageReturn)
}

/** Offset behind the last empty line before `end`, where an event is complete; 0 when there is none. */
export function lastEventEnd(bytes: Buffer, end = bytes.length): number {
  const byFeed = lastEmptyLine(bytes, end)
  if (byFeed === end || end < 2) return byFeed
  const returns = bytes.lastIndexOf(twoReturns, end - 2)
  return returns === -1 ? byFeed : Math.max(byFeed, returns + 2)
}

function lastEmptyLine(bytes: Buffer, end: number): number {
  let feed = end > 0 ? bytes.lastIndexOf(lineFeed, end - 1) : -1
  while (feed > 0) {
    const before = bytes[feed - 1]
    if (before === lineFeed) return feed + 1
    if (before === carriageReturn && isLineEnd(bytes[feed - 2])) return feed + 1
    feed = bytes.lastIndexOf(lineFeed, feed - 1)
  }
  return 0
}

/** Offset behind the event that `from` lies in; the end of the bytes when its empty line is missing. */
export function nextEventEnd(bytes: Buffer, from: number): number {
  let at = from
  while (at < bytes.length) {
    if (!isLineEnd(bytes[at])) {
      at++
      continue
    }
    const next = behindLineEnd(bytes, at)
    if (isLineEnd(bytes[next])) return behindLineEnd(bytes, next)
    at = next
  }
  return bytes.length
}

function behindLineEnd(bytes: Buffer, at: number): number {
  return bytes[at] === carriageReturn && bytes[at + 1] === lineFeed ? at + 2 : at + 1
}

/** The event that these bytes hold, if any. */
export function readEvent(bytes: Buffer): SseEvent | undefined {
  let found: SseEvent | undefined
  const take = (event: SseEvent): void => {
    found ??= event
  }
  const reader = new SseReader(bytes.length)
  reader.push(bytes, take)
  reader.end(take)
  return found
}

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

function isLineEnd(byte: number | undefined): boolean {
  return byte === lineFeed || byte === carriageReturn
}
