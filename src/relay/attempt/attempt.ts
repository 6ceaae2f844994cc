import type { Usage } from '../../sdk/chat.ts'
import type { AnswerCollector } from '../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../sdk/errors.ts'
import type { UpstreamCall, UpstreamHeaders } from '../../sdk/transport.ts'
import type { ClientStream } from '../answer/client-stream.ts'
import type { StreamLane } from '../answer/stream-lane.ts'
import {
  type BoundedCall,
  CallBounds,
  type CallOptions,
  foreignAnswer,
  isFramed,
  isSuccess,
} from './call-bounds.ts'
import { failureOfReport, failureOfStatus } from './status-failure.ts'
import { type Failure, failureOfError, garbageFailure } from './upstream-failure.ts'

export interface AttemptOptions extends CallOptions {
  /** Set when the client wants a stream. */
  stream: AnswerStream | undefined
  /** Puts a whole answer together that was asked for as a stream. */
  collector?: AnswerCollector | undefined
  /** Where the bytes of a whole answer may go as they come, once there are too many of them to collect. */
  large?: (() => AnswerStream) | undefined
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

/** Sends one request to one target and brings its answer to the client, or says why not. Calls back once, never throws. */
export function runAttempt(options: AttemptOptions, onResult: (result: AttemptResult) => void): void {
  new Attempt(options, onResult).start()
}

/** The state of one upstream call, from its dispatch to its one result. */
class Attempt implements BoundedCall {
  readonly #options: AttemptOptions
  readonly #onResult: (result: AttemptResult) => void
  readonly #bounds: CallBounds
  #stream: AnswerStream | undefined
  /** Set while the answer comes as a stream that is to be put together. */
  #collector: AnswerCollector | undefined
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

  constructor(options: AttemptOptions, onResult: (result: AttemptResult) => void) {
    this.#options = options
    this.#onResult = onResult
    this.#stream = options.stream
    this.#bounds = new CallBounds(options, this)
  }

  start(): void {
    this.#startedAt = performance.now()
    this.#call = this.#bounds.open()
  }

  get committed(): boolean {
    return this.#stream?.client.committed ?? false
  }

  get begun(): boolean {
    return this.committed || (this.#mode === 'collecting' && this.#bytes > 0)
  }

  onHeaders(status: number, headers: UpstreamHeaders): void {
    if (this.#mode === 'over') return
    this.#status = status
    this.#headers = headers
    const foreign = this.#succeeded() ? foreignAnswer(headers) : undefined
    if (foreign) {
      this.fail(foreign)
      return
    }
    const streams = this.#stream && this.#succeeded() && !this.#isJson()
    this.#mode = streams ? 'streaming' : 'collecting'
    if (!streams && this.#succeeded() && this.#isEvents()) this.#collector = this.#options.collector
    if (!streams && !this.#collector) this.#bounds.touch()
  }

  onData(chunk: Buffer): void {
    if (this.#mode === 'streaming') this.#relay(chunk)
    else if (this.#mode === 'collecting') this.#collect(chunk)
  }

  onEnd(): void {
    clearTimeout(this.#lingering)
    if (this.#mode === 'streaming') this.#endOfStream()
    else if (this.#mode === 'collecting' && this.#collector) this.#endOfCollected(this.#collector)
    else if (this.#mode === 'collecting') this.#endOfWhole()
  }

  onError(error: Error, reusedSocket: boolean): void {
    clearTimeout(this.#lingering)
    if (this.#mode === 'over') return
    // An error status counts even when its body was cut.
    if (this.#mode === 'collecting' && !this.#succeeded()) this.#endOfWhole()
    else this.fail(failureOfError(error, this.#mode !== 'waiting', reusedSocket))
  }

  #succeeded(): boolean {
    return isSuccess(this.#status)
  }

  #collect(chunk: Buffer): void {
    if (this.#collector) {
      this.#collectEvents(this.#collector, chunk)
      return
    }
    this.#bounds.touch()
    const { large } = this.#options
    const limit = this.#succeeded() ? maxWholeBytes : maxErrorBytes
    this.#bytes += chunk.length
    if (large && this.#succeeded() && this.#bytes > maxCollectedBytes && this.#isJson()) {
      this.#relayCollected(large(), chunk)
    } else if (this.#bytes <= limit) {
      this.#chunks.push(chunk)
    } else if (this.#succeeded()) {
      this.fail(garbageFailure('too large'))
    } else {
      this.#endOfWhole()
      this.#call?.abort()
    }
  }

  #collectEvents(collector: AnswerCollector, chunk: Buffer): void {
    const hadContent = collector.content
    this.#bytes += chunk.length
    collector.push(chunk)
    if (collector.failure) {
      this.fail(failureOfReport(collector.failure))
      return
    }
    if (collector.content) this.#bounds.touch()
    if (collector.content && !hadContent) this.#contentSeen()
    if (!collector.done) return
    this.#endOfCollected(collector)
    this.#linger()
  }

  #endOfCollected(collector: AnswerCollector): void {
    const body = collector.end()
    if (!body) {
      this.fail(failureOfReport(collector.failure ?? streamTruncated()))
      return
    }
    const headers = { ...this.#headers, 'content-type': 'application/json' }
    this.#finish({ type: 'whole', headers, body, firstContentMs: this.#firstContentMs })
  }

  #isJson(): boolean {
    return this.#isOfType('application/json')
  }

  #isEvents(): boolean {
    return this.#isOfType('text/event-stream')
  }

  #isOfType(type: string): boolean {
    return String(this.#headers['content-type'] ?? '').startsWith(type)
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
      this.fail(failureOfStatus(this.#status, this.#headers, body.toString(), this.#options.target))
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
      this.#bounds.touch()
      if (out && !client.write(out)) this.#waitForClient(client)
    } else {
      this.#bytes += chunk.length
      if (out) this.#chunks.push(typeof out === 'string' ? Buffer.from(out) : out)
      if (lane.state.failure === undefined) this.#maybeCommit(lane, client)
    }
    this.#checkEnd(lane)
  }

  #maybeCommit(lane: StreamLane, client: ClientStream): void {
    if (!lane.state.content && !lane.state.ended && this.#bytes <= maxHeldBytes) return
    this.#contentSeen()
    this.#bounds.touch()
    client.commit()
    if (this.#chunks.length > 0 && !client.write(Buffer.concat(this.#chunks))) this.#waitForClient(client)
    this.#chunks = []
  }

  #contentSeen(): void {
    this.#firstContentMs = performance.now() - this.#startedAt
    this.#bounds.contentSeen()
  }

  #waitForClient(client: ClientStream): void {
    if (this.#waitsForClient) return
    this.#waitsForClient = true
    this.#call?.pause()
    this.#bounds.pause()
    client.onDrain(() => {
      this.#waitsForClient = false
      if (this.#mode !== 'streaming') return
      this.#bounds.resume()
      this.#call?.resume()
    })
  }

  #checkEnd(lane: StreamLane): void {
    if (lane.state.failure) {
      this.fail(failureOfReport(lane.state.failure))
      return
    }
    if (!lane.state.ended) return
    this.#complete()
    this.#linger()
  }

  /** The end was read but the upstream has not closed: a moment for it to do so keeps the socket for reuse. */
  #linger(): void {
    this.#lingering = setTimeout(() => this.#call?.abort(), lingerMs)
  }

  #endOfStream(): void {
    if (!this.#stream) return
    const { lane, client } = this.#stream
    const out = lane.end(isFramed(this.#headers))
    if (lane.state.failure || !lane.state.ended) {
      if (out && client.committed) client.write(out)
      this.fail(failureOfReport(lane.state.failure ?? streamTruncated()))
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
    this.#finish({ type: 'streamed', firstContentMs: this.#firstContentMs, tokens: usage?.completionTokens })
  }

  /** After the first content the client is told in its stream, which ends without an end marker. */
  fail(failure: Failure): void {
    if (this.#mode === 'over') return
    const stream = this.#stream
    const { committed } = this
    if (stream && committed) {
      this.#options.onStreamEnd(stream.lane.state.usage, failure.error)
      stream.breakOff(failure.error)
    }
    this.#end()
    this.#call?.abort()
    this.#onResult({ type: 'failed', ...failure, retry: committed ? 'none' : failure.retry })
  }

  #finish(result: AttemptResult): void {
    if (this.#mode === 'over') return
    this.#end()
    this.#onResult(result)
  }

  #end(): void {
    this.#mode = 'over'
    this.#bounds.end()
  }
}
