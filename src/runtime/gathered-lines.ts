import type { DestinationStream, pino } from 'pino'

/** pino's stream to a file or a pipe. */
export type FileStream = ReturnType<typeof pino.destination>

/** How long a line waits for others at most, in milliseconds. */
const gatherMs = 100

/**
 * Log lines on their way to a stream, handed over together: a write for each would cost more than the line. The stream
 * could gather them too, but it measures all that it holds again for each line.
 */
export class GatheredLines implements DestinationStream {
  readonly stream: FileStream
  readonly #pieceBytes: number
  #text = ''
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  /** A piece that is handed over has at most `pieceBytes`, or is one line. */
  constructor(stream: FileStream, pieceBytes: number) {
    this.stream = stream
    this.#pieceBytes = pieceBytes
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#bytes + bytes > this.#pieceBytes) this.handOver()
    this.#text += line
    this.#bytes += bytes
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.handOver()
    }, gatherMs)
  }

  /** What has been gathered so far is the stream's from here on. */
  handOver(): void {
    if (this.#bytes === 0) return
    const text = this.#text
    this.#text = ''
    this.#bytes = 0
    this.stream.write(text)
  }

  /** pino asks for it after a fatal line. */
  flushSync(): void {
    this.handOver()
    this.stream.flushSync()
  }
}
