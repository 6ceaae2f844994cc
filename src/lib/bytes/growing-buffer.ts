const empty = Buffer.alloc(0)

/**
 * Collects chunks in one buffer whose capacity doubles: it uses at most twice the collected length in memory, however small the
 * chunks are.
 */
export class GrowingBuffer {
  length = 0
  #buffer: Buffer = empty

  /** A view, valid until the next `add`. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length)
  }

  /** The first bytes are kept as they are, without a copy, and are never written to. */
  add(bytes: Buffer): void {
    const length = this.length + bytes.length
    if (this.length === 0) {
      this.#buffer = bytes
    } else {
      if (length > this.#buffer.length) {
        const grown = Buffer.allocUnsafe(2 * length)
        this.#buffer.copy(grown, 0, 0, this.length)
        this.#buffer = grown
      }
      bytes.copy(this.#buffer, this.length)
    }
    this.length = length
  }

  /** Returns the bytes and resets the buffer. */
  take(): Buffer {
    const { bytes } = this
    this.#buffer = empty
    this.length = 0
    return bytes
  }
}
