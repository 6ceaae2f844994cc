import { scanObject } from '../json/splice.ts'
import { type SseEvent, SseReader } from './sse.ts'

/*
 * Searches in the bytes of server-sent events (WHATWG HTML, "Server-sent events"). Line ends never stand inside JSON, so an
 * empty line always ends an event.
 */

const lineFeed = 0x0a
const carriageReturn = 0x0d
const twoReturns = Buffer.from('\r\r')

export function isLineEnd(byte: number | undefined): boolean {
  return byte === lineFeed || byte === carriageReturn
}

export function hasLineEnd(bytes: Buffer): boolean {
  return bytes.includes(lineFeed) || bytes.includes(carriageReturn)
}

/** Offset behind the empty line that ends the event at `from`; -1 when it has not come, or may go on. */
export function eventEnd(bytes: Buffer, from: number): number {
  for (let at = from; ; ) {
    const end = lineEnd(bytes, at)
    if (end === -1) return -1
    const next = behindLineEnd(bytes, end)
    if (end === at) return mayGoOn(bytes, end, from) ? -1 : next
    at = next
  }
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

/** Offset behind the last empty line before `end`, where an event is complete; 0 when there is none. */
export function lastEventEnd(bytes: Buffer, end = bytes.length): number {
  const byFeed = lastEmptyLine(bytes, end)
  if (byFeed === end || end < 2) return byFeed
  const returns = bytes.lastIndexOf(twoReturns, end - 2)
  return returns === -1 ? byFeed : Math.max(byFeed, returns + 2)
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

/**
 * The event with another value of the member `model` in the object `outer` of the JSON object at `from`; unchanged where
 * that is not to be found.
 */
export function withModelIn(
  event: Buffer,
  { from, outer, model }: { from: number; outer: string; model: string },
): Buffer {
  const whole = scanObject(event, from)?.members.findLast(({ key }) => key === outer)
  const inner = whole && scanObject(event, whole.valueStart)
  const member = inner?.members.findLast(({ key }) => key === 'model')
  if (!member) return event
  const { valueStart, valueEnd } = member
  return Buffer.concat([
    event.subarray(0, valueStart),
    Buffer.from(JSON.stringify(model)),
    event.subarray(valueEnd),
  ])
}

/** A carriage return that is the last byte so far, among line ends of two bytes. */
function mayGoOn(bytes: Buffer, end: number, from: number): boolean {
  const isLast = bytes[end] === carriageReturn && end === bytes.length - 1
  return isLast && end > from && bytes[end - 1] === lineFeed
}

function lineEnd(bytes: Buffer, from: number): number {
  const feed = bytes.indexOf(lineFeed, from)
  const line = feed === -1 ? bytes.subarray(from) : bytes.subarray(from, feed)
  const carriage = line.indexOf(carriageReturn)
  return carriage === -1 ? feed : from + carriage
}

function behindLineEnd(bytes: Buffer, at: number): number {
  return bytes[at] === carriageReturn && bytes[at + 1] === lineFeed ? at + 2 : at + 1
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
