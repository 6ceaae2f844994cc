import { scanObject } from '../../core/json-splice.ts'
import { type SseEvent, SseReader } from '../../core/sse.ts'

/*
 * Server-sent events as bytes (WHATWG HTML, "Server-sent events"). Line ends never stand inside JSON, so an empty line
 * always ends an event.
 */

const lineFeed = 0x0a
const carriageReturn = 0x0d
const dataField = Buffer.from('data:')

/** Offset behind the empty line that ends the event at `from`; -1 when it has not come, or may go on. */
export function eventEnd(bytes: Buffer, from: number): number {
  for (let at = from; ; ) {
    const end = lineEnd(bytes, at)
    if (end === -1) return -1
    const isPair = bytes[end] === carriageReturn && bytes[end + 1] === lineFeed
    const next = isPair ? end + 2 : end + 1
    if (end === at) return mayGoOn(bytes, end, from) ? -1 : next
    at = next
  }
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

/** A `message_start` with another value of `message.model`; unchanged where that member is not to be found. */
export function withModel(event: Buffer, model: string): Buffer {
  const field = event.indexOf(dataField)
  const data = scanObject(event, field + dataField.length)
  const message = field === -1 ? undefined : data?.members.findLast(({ key }) => key === 'message')
  const inner = message && scanObject(event, message.valueStart)
  const member = inner?.members.findLast(({ key }) => key === 'model')
  if (!member) return event
  const { valueStart, valueEnd } = member
  return Buffer.concat([
    event.subarray(0, valueStart),
    Buffer.from(JSON.stringify(model)),
    event.subarray(valueEnd),
  ])
}
