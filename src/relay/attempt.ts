import type { Usage } from '../core/chat.ts'
import type { RouterError } from '../core/errors.ts'
import { streamTruncated } from '../core/errors.ts'
import type { Target } from '../core/target.ts'
import type {
  Transport,
  UpstreamCall,
  UpstreamHeaders,
  UpstreamRequest,
  UpstreamSink,
} from '../core/transport.ts'
import type { ClientStream } from './client-stream.ts'
import { failureOfReport, failureOfStatus } from './status-failure.ts'
import type { StreamLane } from './stream-lane.ts'
import { type Failure, failureOfError, garbageFailure, none, timeoutFailure } from './upstream-failure.ts'
import { Watchdog } from './watchdog.ts'

export interface AttemptOptions {
  target: Target
  transport: Transport
  request: UpstreamRequest
  /** Set when the client wants a stream. */
  stream: AnswerStream | undefined
  /** Where the bytes of a whole answer may go as they come, once there are too many of them to collect. */
  large?: () => AnswerStream
  /** Bounds the wait for the first content and each silence after it, in milliseconds. */
  timeoutMs: number
  /** Aborted when the client leaves or the whole request takes too long; its reason is a RouterError. */
  signal: AbortSignal
  /** Called at the first content of the answer. */
  onContent: () => void
  /** Called before the end of a committed stream is written, so that its record is complete when it closes. */
  onStreamEnd: (usage: Usage | undefined, error: RouterError | undefined) => void
}

export interface AnswerStream {
  lane: StreamLane
  client: ClientStream
  /** Tells a client that has a part of the answer that no more will come; called once, last. */
  breakOff(error: RouterError): void
}

export type AttemptResult =
  | { type: 'whole'; headers: UpstreamHeaders; body: Buffer; firstContentMs: number }
  | { type: 'streamed'; firstContentMs: number; tokens: number | undefined }
  | ({ type: 'failed' } & Failure)

/** Whole answers are collected up to this where their bytes may go through instead. */
const maxCollectedBytes = 16 * 1024 * 1024
/** And up to this where they must be read, as large batches of embeddings are. */
const maxWholeBytes = 32 * 1024 * 1024
/** Of an error answer only the beginning matters. */
const maxErrorBytes = 64 * 1024
/** Before the first content nothing is sent, unless so much came that it must be let through. */
const maxHeldBytes = 64 * 1024
/** A complete stream whose upstream does not close: how long its socket may stay for reuse, in milliseconds. */
const lingerMs = 1_000

/** Sends one request to one target and brings its answer to the client, or says why not. Never throws. */
export function runAttempt(options: AttemptOptions): Promise<AttemptResult> {
  return new Promise((resolve) => {
    new Attempt(options, resolve).start()
  })
}

/** The state of one upstream call, from its dispatch to its one result. */
class Attempt implements UpstreamSink {
  readonly #options: AttemptOptions
  readonly #resolve: (result: AttemptResult) => void
  readonly #watchdog: Watchdog
  readonly #onAbort: () => void
  #stream: AnswerStream | undefined
  #call: UpstreamCall | undefined
  #waitsForClient = false
  #mode: 'waiting' | 'collecting' | 'streaming' | 'over' = 'waiting'
  #status = 0
  #headers: UpstreamHeaders = {}
  #chunks: Buffer[] = []
  #bytes = 0
  #startedAt = 0
  #firstContentMs = 0
  #lingering: NodeJS.Timeout | undefined

  constructor(options: AttemptOptions, resolve: (result: AttemptResult) => void) {
    this.#options = options
    this.#resolve = resolve
    this.#stream = options.stream
    this.#watchdog = new Watchdog(options.timeoutMs, () => this.#expire())
    this.#onAbort = () => this.#abort()
  }

  start(): void {
    const { signal, transport, request } = this.#options
    if (signal.aborted) {
      this.#abort()
      return
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#startedAt = performance.now()
    this.#call = transport.open(request, this)
  }

  onHeaders(status: number, headers: UpstreamHeaders): void {
    if (this.#mode === 'over') return
    this.#status = status
    this.#headers = headers
    const type = String(headers['content-type'] ?? '')
    const encoding = headers['content-encoding'] ?? 'identity'
    const readable = encoding === 'identity' && !type.startsWith('text/html')
    if (this.#succeeded() && !readable) {
      this.#fail(garbageFailure({ type, encoding }))
      return
    }
    const streams = this.#stream && this.#succeeded() && !type.startsWith('application/json')
    this.#mode = streams ? 'streaming' : 'collecting'
    if (!streams) this.#watchdog.touch()
  }

  onData(chunk: Buffer): void {
    if (this.#mode === 'streaming') this.#relay(chunk)
    else if (this.#mode === 'collecting') this.#collect(chunk)
  }

  onEnd(): void {
    clearTimeout(this.#lingering)
    if (this.#mode === 'streaming') this.#endOfStream()
    else if (this.#mode === 'collecting') this.#endOfWhole()
  }

  onError(error: Error, reusedSocket: boolean): void {
    clearTimeout(this.#lingering)
    if (this.#mode === 'over') return
    // An error status counts even when its body was cut.
    if (this.#mode === 'collecting' && !this.#succeeded()) this.#endOfWhole()
    else this.#fail(failureOfError(error, this.#mode !== 'waiting', reusedSocket))
  }

  #succeeded(): boolean {
    return this.#status >= 200 && this.#status < 300
  }

  #collect(chunk: Buffer): void {
    this.#watchdog.touch()
    const { large } = this.#options
    const limit = this.#succeeded() ? maxWholeBytes : maxErrorBytes
    this.#bytes += chunk.length
    if (large && this.#succeeded() && this.#bytes > maxCollectedBytes && this.#isJson()) {
      this.#relayCollected(large(), chunk)
    } else if (this.#bytes <= limit) {
      this.#chunks.push(chunk)
    } else if (this.#succeeded()) {
      this.#fail(garbageFailure('too large'))
    } else {
      this.#endOfWhole()
      this.#call?.abort()
    }
  }

  #isJson(): boolean {
    return String(this.#headers['content-type'] ?? '').startsWith('application/json')
  }

  #relayCollected(stream: AnswerStream, last: Buffer): void {
    const collected = [...this.#chunks, last]
    this.#chunks = []
    this.#mode = 'streaming'
    this.#stream = stream
    for (const chunk of collected) this.#relay(chunk)
  }

  #endOfWhole(): void {
    const body = this.#chunks.length === 1 && this.#chunks[0] ? this.#chunks[0] : Buffer.concat(this.#chunks)
    if (!this.#succeeded()) {
      this.#fail(failureOfStatus(this.#status, this.#headers, body.toString(), this.#options.target))
      return
    }
    this.#contentSeen()
    this.#finish({ type: 'whole', headers: this.#headers, body, firstContentMs: this.#firstContentMs })
  }

  #relay(chunk: Buffer): void {
    if (!this.#stream) return
    const { lane, client } = this.#stream
    const out = lane.push(chunk)
    if (client.committed) {
      this.#watchdog.touch()
      if (out && !client.write(out)) this.#waitForClient(client)
    } else {
      this.#hold(out, chunk.length)
      if (lane.state.failure === undefined) this.#maybeCommit(lane, client)
    }
    this.#checkEnd(lane)
  }

  #hold(out: Buffer | undefined, received: number): void {
    this.#bytes += received
    if (out) this.#chunks.push(out)
  }

  #maybeCommit(lane: StreamLane, client: ClientStream): void {
    if (!lane.state.content && !lane.state.ended && this.#bytes <= maxHeldBytes) return
    this.#contentSeen()
    this.#watchdog.touch()
    client.commit()
    if (this.#chunks.length > 0 && !client.write(Buffer.concat(this.#chunks))) this.#waitForClient(client)
    this.#chunks = []
  }

  #contentSeen(): void {
    this.#firstContentMs = performance.now() - this.#startedAt
    this.#options.onContent()
  }

  #waitForClient(client: ClientStream): void {
    if (this.#waitsForClient) return
    this.#waitsForClient = true
    this.#call?.pause()
    this.#watchdog.pause()
    client.onDrain(() => {
      this.#waitsForClient = false
      if (this.#mode !== 'streaming') return
      this.#watchdog.resume()
      this.#call?.resume()
    })
  }

  #checkEnd(lane: StreamLane): void {
    if (lane.state.failure) {
      this.#fail(failureOfReport(lane.state.failure))
      return
    }
    if (!lane.state.ended) return
    this.#complete()
    // The end was read but the upstream has not closed: a moment for it to do so keeps the socket for reuse.
    this.#lingering = setTimeout(() => this.#call?.abort(), lingerMs)
  }

  #endOfStream(): void {
    if (!this.#stream) return
    const { lane, client } = this.#stream
    const out = lane.end()
    if (lane.state.failure || !lane.state.ended) {
      if (out && client.committed) client.write(out)
      this.#fail(failureOfReport(lane.state.failure ?? streamTruncated()))
      return
    }
    if (!client.committed) this.#maybeCommit(lane, client)
    if (out) client.write(out)
    this.#complete()
  }

  #complete(): void {
    const usage = this.#stream?.lane.state.usage
    this.#options.onStreamEnd(usage, undefined)
    this.#stream?.client.end()
    const { completionTokens: tokens } = usage ?? {}
    this.#finish({ type: 'streamed', firstContentMs: this.#firstContentMs, tokens })
  }

  #expire(): void {
    const what = this.#mode === 'waiting' ? 'content' : this.#stream?.client.committed ? 'silence' : 'content'
    this.#fail(timeoutFailure(what))
    this.#call?.abort()
  }

  #abort(): void {
    const reason: unknown = this.#options.signal.reason
    const error = reason as RouterError // the exchange aborts with nothing else
    this.#fail(none(error))
    this.#call?.abort()
  }

  /** After the first content the client is told in its stream, which ends without an end marker. */
  #fail(failure: Failure): void {
    if (this.#mode === 'over') return
    const stream = this.#stream
    const committed = stream?.client.committed ?? false
    if (stream && committed) {
      this.#options.onStreamEnd(stream.lane.state.usage, failure.error)
      stream.breakOff(failure.error)
    }
    this.#finish({ type: 'failed', ...failure, retry: committed ? 'none' : failure.retry })
    this.#call?.abort()
  }

  #finish(result: AttemptResult): void {
    if (this.#mode === 'over') return
    this.#mode = 'over'
    this.#watchdog.stop()
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    this.#resolve(result)
  }
}
