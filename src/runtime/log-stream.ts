import { type DestinationStream, pino } from 'pino'

/** What cannot be written is held up to this, in bytes; then lines are dropped. */
const maxHeldBytes = 8 * 1024 * 1024
const maxFlushMs = 1_000

export interface LogStreamEvents {
  /** A write has failed; what was to be written is tried again with the next lines. */
  onError?(error: NodeJS.ErrnoException): void
  /** A write has succeeded. */
  onWrite?(): void
}

/** Log lines on their way to an open file. A full disk, or a pipe that nobody reads any more, costs lines, not requests. */
export class LogStream implements DestinationStream {
  readonly #lines: GatheredLines
  #stuck = false

  /** See `GatheredLines` for `pieceBytes`. */
  constructor(fd: number, pieceBytes: number, { onError, onWrite }: LogStreamEvents = {}) {
    const options = { fd, sync: false, minLength: 1, maxLength: maxHeldBytes, maxWrite: pieceBytes }
    const stream = pino.destination(options)
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#stuck = true
      onError?.(error)
    })
    stream.on('write', () => {
      this.#stuck = false
      onWrite?.()
    })
    this.#lines = new GatheredLines(stream, pieceBytes)
  }

  write(line: string): void {
    this.#lines.write(line)
  }

  /** pino asks for it after a fatal line. */
  flushSync(): void {
    if (this.#stuck) return
    try {
      this.#lines.flushSync()
    } catch {
      this.#stuck = true
    }
  }

  /** Writes out what is held, as far as that is possible within a second. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#stuck = true
        resolve()
      }, maxFlushMs)
      const done = (): void => {
        clearTimeout(timer)
        resolve()
      }
      try {
        this.#lines.handOver()
        // Not `flushSync`, which is not bounded.
        this.#lines.stream.flush(done)
      } catch {
        done() // closed already: there is nothing to write
      }
    })
  }

  /** Writes out what is held, and closes the file. */
  async end(): Promise<void> {
    await this.flush()
    if (this.#stuck) this.#lines.stream.destroy()
    else this.#lines.stream.end()
  }

  /** To be called first when the process exits. See `Logging.atExit`. */
  atExit(): void {
    if (this.#stuck) this.#lines.stream.destroy()
    else this.#lines.handOver()
  }
}

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
