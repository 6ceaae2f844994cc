import { HeldBytes } from './held.ts'

const lineFeed = 0x0a
const carriageReturn = 0x0d

/**
 * Cuts a stream of server-sent events (WHATWG HTML, "Server-sent events") behind each empty line, whatever the cuts of
 * its chunks; the pieces are all its bytes. Throws RangeError when a piece grows over `maxBytes`.
 */
export class EventCutter {
  readonly #maxBytes: number
  readonly #held = new HeldBytes()
  /** Whether the line that the next byte belongs to is empty so far. */
  #emptyLine = false
  #afterReturn = false

  constructor(maxBytes = 32 * 1024 * 1024) {
    this.#maxBytes = maxBytes
  }

  push(chunk: Buffer, onEvent: (bytes: Buffer) => void): void {
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      // The second half of a line end that has been counted.
      if (byte === lineFeed && this.#afterReturn) {
        this.#afterReturn = false
        continue
      }
      this.#afterReturn = byte === carriageReturn
      if (byte !== lineFeed && byte !== carriageReturn) {
        this.#emptyLine = false
        continue
      }
      if (this.#emptyLine) {
        const behind = byte === carriageReturn && chunk[at + 1] === lineFeed ? at + 2 : at + 1
        this.#hold(chunk.subarray(from, behind))
        onEvent(this.rest())
        from = behind
      }
      this.#emptyLine = true
    }
    this.#hold(chunk.subarray(from))
  }

  /** What has not been given yet; it is given only once. */
  rest(): Buffer {
    return this.#held.take()
  }

  #hold(bytes: Buffer): void {
    this.#held.add(bytes)
    if (this.#held.length > this.#maxBytes) throw new RangeError('event too long')
  }
}
