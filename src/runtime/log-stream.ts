import { type DestinationStream, pino } from 'pino'

/** Maximum bytes buffered while writes fail; further lines are dropped. */
const maxBufferedBytes = 8 * 1024 * 1024
const maxFlushMs = 1_000

export interface LogStreamEvents {
  /** Called when a write has failed; its data is retried with the next lines. */
  onError?(error: NodeJS.ErrnoException): void
  /** Called when a write has succeeded. */
  onWrite?(): void
}

/** Writes log lines to an open file. A full disk or a pipe without a reader loses lines, but never blocks requests. */
export class LogStream implements DestinationStream {
  readonly #lines: GatheredLines
  #stuck = false

  /** See `GatheredLines` for `pieceBytes`. */
  constructor(fd: number, pieceBytes: number, { onError, onWrite }: LogStreamEvents = {}) {
    const options = { fd, sync: false, minLength: 1, maxLength: maxBufferedBytes, maxWrite: pieceBytes }
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

  /** pino calls this after a fatal line. */
  flushSync(): void {
    if (this.#stuck) return
    try {
      this.#lines.flushSync()
    } catch {
      this.#stuck = true
    }
  }

  /** Writes what is buffered, as far as possible within one second. */
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
        // Not `flushSync`, which has no time limit.
        this.#lines.stream.flush(done)
      } catch {
        done() // already closed: nothing to write
      }
    })
  }

  /** Writes what is buffered and closes the file. */
  async end(): Promise<void> {
    await this.flush()
    if (this.#stuck) this.#lines.stream.destroy()
    else this.#lines.stream.end()
  }

  /** Call first when the process exits. See `Logging.atExit`. */
  atExit(): void {
    if (this.#stuck) this.#lines.stream.destroy()
    else this.#lines.handOver()
  }
}

/** pino's stream to a file or a pipe. */
export type FileStream = ReturnType<typeof pino.destination>

/** Maximum time that a line is buffered, in milliseconds. */
const batchMs = 100

/**
 * Batches log lines before they reach the stream: one write per line would cost more than the line itself. The stream
 * could batch too, but it recomputes the size of its whole buffer for each line.
 */
export class GatheredLines implements DestinationStream {
  readonly stream: FileStream
  readonly #pieceBytes: number
  #text = ''
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  /** Each batch has at most `pieceBytes`, or is a single line. */
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
    }, batchMs)
  }

  /** Passes all buffered lines to the stream. */
  handOver(): void {
    if (this.#bytes === 0) return
    const text = this.#text
    this.#text = ''
    this.#bytes = 0
    this.stream.write(text)
  }

  /** pino calls this after a fatal line. */
  flushSync(): void {
    this.handOver()
    this.stream.flushSync()
  }
}
