/** Bytes that wait for those that complete them. They are joined only when they are taken. */
export class HeldBytes {
  length = 0
  #pieces: Buffer[] = []

  add(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#pieces.push(bytes)
    this.length += bytes.length
  }

  /** All of them; they are held no more. */
  take(): Buffer {
    const [only] = this.#pieces
    const bytes = this.#pieces.length === 1 && only ? only : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.length = 0
    return bytes
  }
}
