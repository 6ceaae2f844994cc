import { GrowingBuffer } from './growing-buffer.ts'

/** Smaller chunks are joined; a `Buffer` takes about 400 bytes besides its content. */
const smallBytes = 1024
/** Joined chunks are not copied again beyond this length. */
const maxJoinedBytes = 64 * 1024

/**
 * Collects chunks: large ones as they are, consecutive small ones joined. Memory is thus proportional to the bytes, even if a
 * sender puts each byte into a chunk of its own.
 */
export class ChunkList {
  #chunks: Buffer[] = []
  readonly #small = new GrowingBuffer()

  add(chunk: Buffer): void {
    const isSmall = chunk.length < smallBytes
    if (isSmall) this.#small.add(chunk)
    if (!isSmall || this.#small.length >= maxJoinedBytes) this.#endSmall()
    if (!isSmall) this.#chunks.push(chunk)
  }

  /** Removes and returns all chunks. */
  take(): Buffer[] {
    this.#endSmall()
    const chunks = this.#chunks
    this.#chunks = []
    return chunks
  }

  #endSmall(): void {
    if (this.#small.length > 0) this.#chunks.push(this.#small.take())
  }
}

/** The pieces in one buffer, copied only if there are several; undefined if they are empty. */
export function joined(pieces: readonly (Buffer | undefined)[]): Buffer | undefined {
  const filled = pieces.filter((piece): piece is Buffer => piece !== undefined && piece.length > 0)
  return filled.length > 1 ? Buffer.concat(filled) : filled[0]
}
