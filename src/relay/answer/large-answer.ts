import {
  backslash,
  closeBrace,
  closeBracket,
  colon,
  comma,
  openBrace,
  openBracket,
  quote,
} from '../../lib/json/splice.ts'
import type { ChatPassthrough, PassthroughState } from '../../sdk/dialect.ts'
import { streamTruncated } from '../../sdk/errors.ts'

const modelKey = '"model"'

/** 1 for each byte that matters outside strings: most bytes of a vector are others, and a look-up is five times as fast. */
const structural = Uint8Array.from({ length: 256 }, (_, byte) =>
  [quote, openBrace, openBracket, closeBrace, closeBracket, colon, comma].includes(byte) ? 1 : 0,
)

/**
 * Passthrough of a whole response that is too large to be buffered: its bytes are forwarded as they arrive, with the
 * value of the outermost `model` replaced by the client's name. It is complete when its JSON object is, whatever the HTTP
 * framing says: a truncated body without a length looks like a complete one.
 */
export function createLargeAnswer(model: string): ChatPassthrough {
  return new LargeAnswer(model)
}

class LargeAnswer implements ChatPassthrough {
  readonly state: PassthroughState = { content: true, ended: false, failure: undefined, usage: undefined }
  readonly #model: Buffer
  #depth = 0
  #complete = false
  /** Role of the next string at the outermost level: a key, a value, or the value to replace. */
  #next: 'key' | 'value' | 'model' = 'key'
  #inString = false
  #escaped = false
  /** Bytes of the key so far, at most as many as needed to compare it. */
  #key = ''
  /** Whether the current string is omitted from the output. */
  #dropping = false

  constructor(model: string) {
    this.#model = Buffer.from(JSON.stringify(model))
  }

  push(chunk: Buffer): Buffer | undefined {
    const out: Buffer[] = []
    let from = 0
    for (let at = 0; at < chunk.length; ) {
      if (!this.#inString) {
        at = this.#structure(chunk, at)
        if (at === chunk.length) break
        this.#inString = true
        this.#key = '"'
        if (this.#depth === 1 && this.#next === 'model') {
          out.push(chunk.subarray(from, at), this.#model)
          this.#dropping = true
        }
        at++
      }
      at = this.#string(chunk, at)
      if (!this.#inString && this.#dropping) {
        this.#dropping = false
        from = at
      }
    }
    if (!this.#dropping) out.push(chunk.subarray(from))
    const [only] = out
    return out.length === 1 ? only : Buffer.concat(out)
  }

  end(): undefined {
    if (this.#complete) this.state.ended = true
    else this.state.failure = streamTruncated()
  }

  /** Advances past the string's closing quote, or to the end of the chunk; returns the new index. */
  #string(chunk: Buffer, start: number): number {
    let at = start
    if (this.#escaped) at++
    this.#escaped = false
    for (;;) {
      const found = chunk.indexOf(quote, at)
      const end = found === -1 ? chunk.length : found
      let slashes = 0
      while (end - slashes > at && chunk[end - slashes - 1] === backslash) slashes++
      const escaped = slashes % 2 === 1
      if (found === -1 || !escaped) this.#noteKey(chunk, start, found === -1 ? end : end + 1)
      if (found === -1) {
        this.#escaped = escaped
        return end
      }
      if (!escaped) {
        this.#inString = false
        return end + 1
      }
      at = end + 1
    }
  }

  #noteKey(chunk: Buffer, start: number, end: number): void {
    if (this.#depth !== 1 || this.#next !== 'key') return
    const room = modelKey.length + 1 - this.#key.length
    if (room > 0) this.#key += chunk.toString('latin1', start, Math.min(end, start + room))
  }

  /** Handles the bytes outside strings; returns the index of the next quote, or the end of the chunk. */
  #structure(chunk: Buffer, start: number): number {
    const end = chunk.length
    for (let at = start; at < end; at++) {
      const byte = chunk[at] ?? 0
      if (structural[byte] === 0) continue
      switch (byte) {
        case quote:
          return at
        case openBrace:
        case openBracket:
          this.#depth++
          break
        case closeBrace:
        case closeBracket:
          this.#depth--
          this.#complete ||= this.#depth === 0
          break
        case colon:
          if (this.#depth === 1) this.#next = this.#key === modelKey ? 'model' : 'value'
          break
        case comma:
          if (this.#depth === 1) this.#next = 'key'
          break
      }
    }
    return end
  }
}
