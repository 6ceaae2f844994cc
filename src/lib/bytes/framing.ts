import { type SseEvent, SseReader } from './sse.ts'

/** How a stream is split into events. Strings have one character per byte (`latin1`), so their offsets are byte offsets. */
export interface Framing {
  /** Offsets behind each event that ends in the text, in order. */
  ends(text: string): number[]
  /** Whether the text ends with an event. False negatives only cost time. */
  isWhole(text: string): boolean
  /** The event in these bytes; undefined for a comment or blank line. */
  read(event: Buffer): SseEvent | undefined
  /** Offset at which the JSON of an event begins. */
  dataStart(text: string): number
  /** Ends the event that was cut off behind this text. */
  close(text: string): string
}

/** An empty line. A carriage return behind a line feed waits for the next byte, which may complete its line end. */
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

/** One JSON value per line, which LF or CRLF ends. */
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
