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
  onChange(fault: LogFileFault | undefined): void
}

export interface LogFileFault {
  /** `open`: lines go nowhere. `reopen`: they go to the file that was open before. `write`: they are held, then dropped. */
  does: 'open' | 'reopen' | 'write'
  /** ENOENT, EACCES, ENOSPC ... */
  code: string
}

/** The log file. Whatever is wrong with it, the process goes on: lines that it does not get are on stdout. */
export class LogFile implements DestinationStream {
  readonly #options: LogFileOptions
  #stream: LogStream | undefined
  #openFault: LogFileFault | undefined
  #writeFault: LogFileFault | undefined

  /** Opens the file; `fault` says whether that has worked. */
  constructor(options: LogFileOptions) {
    this.#options = options
    this.#openFault = this.#open('open')
  }

  get fault(): LogFileFault | undefined {
    return this.#openFault ?? this.#writeFault
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
      this.#openFault = this.#open(former ? 'reopen' : 'open')
      if (!this.#openFault) this.#writeFault = undefined
    })
    // What was logged until now belongs to the file that was moved away.
    if (former && this.#stream !== former) void former.end()
  }

  #open(does: 'open' | 'reopen'): LogFileFault | undefined {
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
      this.#writeFault = error === undefined ? undefined : { does: 'write', code: codeOf(error) }
    })
  }

  #change(make: () => void): void {
    const { fault: before } = this
    make()
    const { fault: after } = this
    if (before?.does !== after?.does || before?.code !== after?.code) this.#options.onChange(after)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
