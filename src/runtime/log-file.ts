import { constants, openSync } from 'node:fs'
import { resolve } from 'node:path'
import type { DestinationStream } from 'pino'
import { LogStream } from './log-stream.ts'

/** The usual mode of new files, reduced by the umask. */
const mode = 0o666
/** Non-blocking, because a named pipe without a reader must not block the process. */
const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

export interface LogFileOptions {
  path: string
  /** Maximum bytes per write, see `LineBatches`. */
  maxWriteBytes: number
  /**
   * Called with the error when the file can no longer be opened or written, and with undefined when it can again.
   */
  onChange(error: LogFileError | undefined): void
}

export interface LogFileError {
  /**
   * `open`: lines are discarded. `reopen`: they go to the previously open file. `write`: they are buffered, then
   * dropped.
   */
  failed: 'open' | 'reopen' | 'write'
  /** ENOENT, EACCES, ENOSPC ... */
  code: string
}

/** The log file. Errors never stop the process; lines also go to stdout. */
export class LogFile implements DestinationStream {
  readonly #options: LogFileOptions
  #stream: LogStream | undefined
  #openError: LogFileError | undefined
  #writeError: LogFileError | undefined

  /** Opens the file; check `error` for the result. */
  constructor(options: LogFileOptions) {
    this.#options = options
    this.#openError = this.#open('open')
  }

  get error(): LogFileError | undefined {
    return this.#openError ?? this.#writeError
  }

  write(line: string): void {
    this.#stream?.write(line)
  }

  flushSync(): void {
    this.#stream?.flushSync()
  }

  async flush(): Promise<void> {
    await this.#stream?.flush()
  }

  atExit(): void {
    this.#stream?.atExit()
  }

  /** Opens the file again after logrotate has moved it. */
  reopen(): void {
    const previous = this.#stream
    this.#change(() => {
      this.#openError = this.#open(previous ? 'reopen' : 'open')
      if (!this.#openError) this.#writeError = undefined
    })
    // Buffered lines belong to the moved file.
    if (previous && this.#stream !== previous) void previous.end()
  }

  #open(failed: 'open' | 'reopen'): LogFileError | undefined {
    const { path, maxWriteBytes } = this.#options
    try {
      // Opened before the first line, so that an error is reported at startup.
      const stream: LogStream = new LogStream(openSync(resolve(path), flags, mode), maxWriteBytes, {
        onError: (error) => this.#written(stream, error),
        onWrite: () => this.#written(stream),
      })
      this.#stream = stream
      return undefined
    } catch (error) {
      return { failed, code: codeOf(error) }
    }
  }

  #written(stream: LogStream, error?: unknown): void {
    if (stream !== this.#stream) return
    this.#change(() => {
      this.#writeError = error === undefined ? undefined : { failed: 'write', code: codeOf(error) }
    })
  }

  #change(update: () => void): void {
    const { error: before } = this
    update()
    const { error: after } = this
    if (before?.failed !== after?.failed || before?.code !== after?.code) this.#options.onChange(after)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
