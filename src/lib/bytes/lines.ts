import { ChunkList } from './chunk-list.ts'

const lineFeed = 0x0a
const carriageReturn = 0x0d

/** Maximum size of a line or event in memory. */
export const maxLineBytes = 8 * 1024 * 1024

/**
 * Splits a byte stream into lines, wherever its chunks are split. Only whole lines are decoded, so a multi-byte character that
 * spans two chunks is read correctly. Memory is bounded by `maxBytes` per line.
 */
export class LineSplitter {
  readonly #pending = new ChunkList()
  #pendingBytes = 0
  #skipLineFeed = false
  #first = true
  readonly #loneCr: boolean
  readonly #maxBytes: number

  /** `loneCr`: whether a single carriage return ends a line (as in SSE, but not in NDJSON). */
  constructor(options: { loneCr: boolean; maxBytes?: number }) {
    this.#loneCr = options.loneCr
    this.#maxBytes = options.maxBytes ?? maxLineBytes
  }

  /** Calls `onLine` with each line that `chunk` completes, without its line ending. Throws RangeError if a line is too long. */
  push(chunk: Uint8Array, onLine: (line: string) => void): void {
    let bytes = chunk
    if (this.#skipLineFeed && bytes.length > 0) {
      if (bytes[0] === lineFeed) bytes = bytes.subarray(1)
      this.#skipLineFeed = false
    }
    const last = this.#lastEnding(bytes)
    if (last === -1) {
      this.#keep(bytes)
      return
    }
    this.#skipLineFeed = this.#loneCr && last === bytes.length - 1 && bytes[last] === carriageReturn
    const isPair = this.#loneCr && bytes[last] === lineFeed && bytes[last - 1] === carriageReturn
    const text = this.#take(bytes.subarray(0, isPair ? last - 1 : last))
    this.#keep(bytes.subarray(last + 1))
    this.#split(text, onLine)
  }

  /** Returns the unterminated last line of the stream, if any. */
  rest(): string | undefined {
    if (this.#pendingBytes === 0) return undefined
    return this.#take(new Uint8Array(0))
  }

  #split(text: string, onLine: (line: string) => void): void {
    if (this.#loneCr && text.includes('\r')) {
      for (const line of text.split(/\r\n|\n|\r/)) onLine(line)
      return
    }
    let from = 0
    for (;;) {
      const at = text.indexOf('\n', from)
      const line = at === -1 ? text.slice(from) : text.slice(from, at)
      onLine(line.endsWith('\r') ? line.slice(0, -1) : line)
      if (at === -1) return
      from = at + 1
    }
  }

  #lastEnding(bytes: Uint8Array): number {
    const feed = bytes.lastIndexOf(lineFeed)
    return this.#loneCr ? Math.max(feed, bytes.lastIndexOf(carriageReturn)) : feed
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#pendingBytes += bytes.length
    if (this.#pendingBytes > this.#maxBytes) throw new RangeError('line too long')
    this.#pending.add(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
  }

  #take(tail: Uint8Array): string {
    let text: string
    if (this.#pendingBytes === 0) {
      text = Buffer.from(tail.buffer, tail.byteOffset, tail.length).toString('utf8')
    } else {
      text = Buffer.concat([...this.#pending.take(), tail]).toString('utf8')
      this.#pendingBytes = 0
    }
    if (this.#first) {
      this.#first = false
      if (text.startsWith('\ufeff')) return text.slice(1)
    }
    return text
  }
}

/**
 * Serializes a value as one NDJSON line. U+0085, U+2028 and U+2029 are valid in JSON strings, but readers based on Python's
 * `str.splitlines`, such as the official Python client, split lines there; so they are escaped.
 */
export function lineJson(value: unknown): string {
  return escapeLineBreaks(JSON.stringify(value))
}

/** Makes JSON text fit on one NDJSON line, see {@link lineJson}. Raw line breaks in valid JSON are only white space. */
export function escapeLineBreaks(json: string): string {
  if (!/[\n\r\u0085\u2028\u2029]/.test(json)) return json
  return json.replace(/[\n\r\u0085\u2028\u2029]/g, (character) =>
    character === '\n' || character === '\r'
      ? ' '
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
