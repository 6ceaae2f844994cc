import { constants, openSync } from 'node:fs'
import { resolve } from 'node:path'
import type { DestinationStream } from 'pino'
import { LogStream } from './log-stream.ts'

/** As for a log of any other daemon; the umask takes away from it. */
const mode = 0o666
/** A named pipe without a reader must not hold up the process. */
const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

export interface LogFileOptions {
  path: string
  /** See `GatheredLines`. */
  pieceBytes: number
  /** Called when the file can no longer be opened or written, with the system's code, and when it can again. */
  onChange(error: LogFileError | undefined): void
}

export interface LogFileError {
  /** `open`: lines go nowhere. `reopen`: they go to the file that was open before. `write`: they are held, then dropped. */
  does: 'open' | 'reopen' | 'write'
  /** ENOENT, EACCES, ENOSPC ... */
  code: string
}

/** The log file. Whatever is wrong with it, the process goes on: lines that it does not get are on stdout. */
export class LogFile implements DestinationStream {
  readonly #options: LogFileOptions
  #stream: LogStream | undefined
  #openError: LogFileError | undefined
  #writeError: LogFileError | undefined

  /** Opens the file; `error` says whether that has worked. */
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

  /** Opens the file anew, after logrotate has moved it. */
  reopen(): void {
    const former = this.#stream
    this.#change(() => {
      this.#openError = this.#open(former ? 'reopen' : 'open')
      if (!this.#openError) this.#writeError = undefined
    })
    // What was logged until now belongs to the file that was moved away.
    if (former && this.#stream !== former) void former.end()
  }

  #open(does: 'open' | 'reopen'): LogFileError | undefined {
    const { path, pieceBytes } = this.#options
    try {
      // At once, and not when the first line is written: a file that cannot be opened is told at the start.
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
