import { type SseEvent, SseReader } from './sse.ts'

/** How a stream is split into events. Strings are decoded as `latin1`, so that their offsets are byte offsets. */
export interface Framing {
  /** Offsets after each event that ends in the text, in ascending order. */
  ends(text: string): number[]
  /** Whether the text ends with a complete event. May be false for an unusual end; this only costs time. */
  isWhole(text: string): boolean
  /** The event in these bytes; undefined for a comment or a blank line. */
  read(event: Buffer): SseEvent | undefined
  /** Offset at which the JSON of an event begins. */
  dataStart(text: string): number
  /** The bytes that end the event that breaks off after this text. */
  close(text: string): string
}

/** An empty line. A CR after an LF only counts once the next byte is known, because it may be the start of CRLF. */
const emptyLine = /\n(?:\n|\r(?:\n|(?=[^\n])))|\r\r\n?/g
const dataField = /(?:^|[\r\n])data: ?/

/** WHATWG HTML, "Server-sent events": an empty line ends an event; line ends are LF, CRLF or CR. */
export const sseFraming: Framing = {
  ends(text) {
    if (!text.includes('\r')) return endsAt(text, '\n\n')
    return Array.from(text.matchAll(emptyLine), ({ index, 0: line }) => index + line.length)
  },
  isWhole: (text) => text.endsWith('\n\n') || text.endsWith('\n\r\n'),
  read(event) {
    let found: SseEvent | undefined
    const take = (sent: SseEvent): void => {
      found ??= sent
    }
    const reader = new SseReader(event.length)
    reader.push(event, take)
    reader.end(take)
    return found
  },
  dataStart(text) {
    const field = dataField.exec(text)
    return field ? field.index + field[0].length : 0
  },
  close: (text) => (/\n\r?$/.test(text) ? '\n' : '\n\n'),
}

/** One JSON value per line; lines end with LF or CRLF. */
export const ndjsonFraming: Framing = {
  ends: (text) => endsAt(text, '\n'),
  isWhole: (text) => text.endsWith('\n'),
  read(event) {
    const data = event.toString()
    return data.trim() === '' ? undefined : { event: '', data }
  },
  dataStart: () => 0,
  close: () => '\n',
}

function endsAt(text: string, separator: string): number[] {
  const ends: number[] = []
  for (let at = text.indexOf(separator); at !== -1; at = text.indexOf(separator, at)) {
    at += separator.length
    ends.push(at)
  }
  return ends
}
