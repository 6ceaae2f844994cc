const empty = Buffer.alloc(0)

/**
 * Bytes that wait for those that complete them, in one buffer whose capacity doubles: however small the pieces are, they
 * use at most twice their length in memory.
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
