import type { ClientStream } from './client-stream.ts'

export interface KeepAliveOptions {
  /** A silence of this length is broken, in milliseconds. */
  intervalMs: number
  /** What breaks it: a whole event or comment of the client's dialect. */
  ping: string
  /** Called before the head goes out ahead of any content. */
  onOpen: () => void
  /** What could not be told by headers that went out so early: a comment, or nothing. */
  lastWords: () => string
}

/**
 * Breaks the silences of one client's stream of server-sent events, also those before its first content: load balancers cut
 * a request that is silent for a minute. Once the head has gone out, failures can only be told in the stream; until the
 * first content, attempts still fail over as before.
 */
export class KeepAlive {
  readonly #stream: ClientStream
  readonly #options: KeepAliveOptions
  #timer: NodeJS.Timeout | undefined
  #lastWriteAt = performance.now()
  #opened = false
  #hasContent = false
  #over = false
  /** The client reads slowly: it has enough to read. */
  #blocked = false
  /** The last characters on the wire: nothing may stand inside an event that goes out in pieces. */
  #tail = '\n\n'

  constructor(stream: ClientStream, options: KeepAliveOptions) {
    this.#stream = stream
    this.#options = options
    this.#arm(options.intervalMs)
  }

  /** Whether the head has gone out ahead of any content. */
  get opened(): boolean {
    return this.#opened
  }

  /** Whether an attempt has committed itself to the stream, and so tells its own failure. */
  get hasContent(): boolean {
    return this.#hasContent
  }

  /** The client's end for one attempt. It counts as committed when this attempt has content, whatever went out before. */
  attemptStream(): ClientStream {
    const attempt: ClientStream = {
      committed: false,
      commit: () => {
        attempt.committed = true
        this.#hasContent = true
        if (!this.#stream.committed) this.#stream.commit()
      },
      write: (bytes) => this.#write(bytes),
      onDrain: (resume) => this.#stream.onDrain(resume),
      end: () => this.end(),
      breakOff: () => {
        this.stop()
        this.#stream.breakOff()
      },
    }
    return attempt
  }

  /** Ends the stream, behind these last events. */
  end(events = ''): void {
    if (this.#over) return
    this.stop()
    const last = events + (this.#opened ? this.#options.lastWords() : '')
    if (last !== '') this.#write(last)
    this.#stream.end()
  }

  /** The answer will not be this stream, unless its head has gone out. */
  stopUnlessOpen(): void {
    if (!this.#stream.committed) this.stop()
  }

  /** Breaks no more silences. */
  stop(): void {
    this.#over = true
    clearTimeout(this.#timer)
  }

  #write(bytes: Buffer | string): boolean {
    this.#lastWriteAt = performance.now()
    const last = typeof bytes === 'string' ? bytes.slice(-4) : bytes.toString('latin1', bytes.length - 4)
    this.#tail = (this.#tail + last).slice(-4)
    const flows = this.#stream.write(bytes)
    if (!flows && !this.#blocked) {
      this.#blocked = true
      this.#stream.onDrain(() => {
        this.#blocked = false
        this.#lastWriteAt = performance.now()
      })
    }
    return flows
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), ms)
  }

  #look(): void {
    if (this.#over) return
    const { intervalMs } = this.#options
    const leftMs = this.#lastWriteAt + intervalMs - performance.now()
    if (leftMs > 1) {
      this.#arm(leftMs)
      return
    }
    if (!this.#blocked && endsEvent(this.#tail)) this.#ping()
    this.#arm(intervalMs)
  }

  #ping(): void {
    if (!this.#stream.committed) {
      this.#opened = true
      this.#options.onOpen()
      this.#stream.commit()
    }
    this.#write(this.#options.ping)
  }
}

/** Whether an empty line is the last, so that another event may follow. */
function endsEvent(tail: string): boolean {
  return /(?:\n\r?\n|\r\r\n?)$/.test(tail)
}
