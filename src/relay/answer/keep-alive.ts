import type { ClientStream } from './client-stream.ts'

export interface KeepAliveOptions {
  /** Interval of silence after which a keep-alive is sent, in milliseconds. */
  intervalMs: number
  /** The keep-alive: a complete event or comment of the client's dialect. */
  ping: string
  /** Called before the head is sent ahead of any content. */
  onOpen: () => void
  /** Information that was not known when the headers were sent: a comment, or nothing. */
  trailer: () => string
}

/**
 * Sends keep-alives in one client's stream of server-sent events, also before its first content: load balancers drop
 * connections that are silent for a minute. Once the head has been sent, errors can only be reported in the stream; until the
 * first content, requests still fail over.
 */
export class KeepAlive {
  readonly #stream: ClientStream
  readonly #options: KeepAliveOptions
  #timer: NodeJS.Timeout | undefined
  #lastWriteAt = performance.now()
  #opened = false
  #hasContent = false
  #over = false
  /** The client reads slowly, so no keep-alive is needed. */
  #blocked = false
  /** The last characters sent: a keep-alive must not be written inside an event that is sent in pieces. */
  #tail = '\n\n'

  constructor(stream: ClientStream, options: KeepAliveOptions) {
    this.#stream = stream
    this.#options = options
    this.#arm(options.intervalMs)
  }

  /** Whether the head was sent ahead of any content. */
  get opened(): boolean {
    return this.#opened
  }

  /** Whether an attempt has committed to the stream, and so reports its own failure. */
  get hasContent(): boolean {
    return this.#hasContent
  }

  /** The client's side for one attempt. Counts as committed once this attempt has content, whatever was sent before. */
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
      reset: () => {
        this.stop()
        this.#stream.reset()
      },
    }
    return attempt
  }

  /** Ends the stream after these last events. */
  end(events = ''): void {
    if (this.#over) return
    this.stop()
    const last = events + (this.#opened ? this.#options.trailer() : '')
    if (last !== '') this.#write(last)
    this.#stream.end()
  }

  /** The response will not be this stream, unless its head has been sent. */
  stopUnlessOpen(): void {
    if (!this.#stream.committed) this.stop()
  }

  /** Stops the keep-alives. */
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
    this.#timer = setTimeout(() => this.#checkSilence(), ms)
  }

  #checkSilence(): void {
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

/** Whether the output ends with an empty line, so another event may follow. */
function endsEvent(tail: string): boolean {
  return /(?:\n\r?\n|\r\r\n?)$/.test(tail)
}
