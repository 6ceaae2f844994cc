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

/**
 * Writes log lines to an open file. With a full disk or a pipe without a reader, lines are dropped, but requests never block.
 */
export class LogStream implements DestinationStream {
  readonly #lines: LineBatches
  #stuck = false

  /** See `LineBatches` for `maxWriteBytes`. */
  constructor(fd: number, maxWriteBytes: number, { onError, onWrite }: LogStreamEvents = {}) {
    const options = { fd, sync: false, minLength: 1, maxLength: maxBufferedBytes, maxWrite: maxWriteBytes }
    const stream = pino.destination(options)
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#stuck = true
      onError?.(error)
    })
    stream.on('write', () => {
      this.#stuck = false
      onWrite?.()
    })
    this.#lines = new LineBatches(stream, maxWriteBytes)
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

  /** Writes buffered lines, as far as possible within one second. */
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
        done() // already closed
      }
    })
  }

  /** Writes buffered lines and closes the file. */
  async end(): Promise<void> {
    await this.flush()
    if (this.#stuck) this.#lines.stream.destroy()
    else this.#lines.stream.end()
  }

  /** To be called first when the process exits; see `Logging.atExit`. */
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
 * Batches log lines before they reach the stream, because one write per line would cost more than formatting it. The stream
 * could batch too, but recomputes the size of its whole buffer for each line.
 */
export class LineBatches implements DestinationStream {
  readonly stream: FileStream
  readonly #maxWriteBytes: number
  #text = ''
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  /** Each batch has at most `maxWriteBytes`, or is a single line. */
  constructor(stream: FileStream, maxWriteBytes: number) {
    this.stream = stream
    this.#maxWriteBytes = maxWriteBytes
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#bytes + bytes > this.#maxWriteBytes) this.handOver()
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
