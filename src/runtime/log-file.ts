import { constants, openSync } from 'node:fs'
import { resolve } from 'node:path'
import type { DestinationStream } from 'pino'
import { LogStream } from './log-stream.ts'

/** The default of other daemons, reduced by the umask. */
const mode = 0o666
/** Non-blocking, because a named pipe without a reader must not block the process. */
const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

export interface LogFileOptions {
  path: string
  /** See `GatheredLines`. */
  pieceBytes: number
  /**
   * Called with the system's error code when the file can no longer be opened or written, and with undefined when it
   * can again.
   */
  onChange(error: LogFileError | undefined): void
}

export interface LogFileError {
  /**
   * `open`: lines are discarded. `reopen`: they go to the previously open file. `write`: they are buffered, then
   * dropped.
   */
  does: 'open' | 'reopen' | 'write'
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
    const former = this.#stream
    this.#change(() => {
      this.#openError = this.#open(former ? 'reopen' : 'open')
      if (!this.#openError) this.#writeError = undefined
    })
    // Lines logged so far belong to the moved file.
    if (former && this.#stream !== former) void former.end()
  }

  #open(does: 'open' | 'reopen'): LogFileError | undefined {
    const { path, pieceBytes } = this.#options
    try {
      // Opened immediately, not with the first line, so that an error is reported at the start.
      const stream: LogStream = new LogStream(openSync(resolve(path), flags, mode), pieceBytes, {
        onError: (error) => this.#written(stream, error),
        onWrite: () => this.#written(stream),
      })
      this.#stream = stream
      return undefined
    } catch (error) {
      return { does, code: codeOf(error) }
    }
  }

  #written(stream: LogStream, error?: unknown): void {
    if (stream !== this.#stream) return
    this.#change(() => {
      this.#writeError = error === undefined ? undefined : { does: 'write', code: codeOf(error) }
    })
  }

  #change(make: () => void): void {
    const { error: before } = this
    make()
    const { error: after } = this
    if (before?.does !== after?.does || before?.code !== after?.code) this.#options.onChange(after)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
