import { ChunkList, joined } from '../../lib/bytes/chunk-list.ts'
import type { AnswerCollector } from '../../sdk/dialect.ts'
import { type RouterError, streamTruncated } from '../../sdk/errors.ts'
import type { OpenRequest, UpstreamHeaders, UpstreamSink } from '../../sdk/transport.ts'
import type { WholeAnswer } from '../answer/whole-answer.ts'
import { bytesOf, upstreamRequest } from '../request/upstream-request.ts'
import { foreignAnswer, isEventStream, isFramed, isJson, isSuccess } from '../upstream/upstream-answer.ts'
import {
  AttemptBounds,
  type BoundedAttempt,
  maxCollectedBytes,
  maxErrorBytes,
  maxHeldBytes,
  maxWholeBytes,
} from './attempt-bounds.ts'
import { type AttemptFailure, type AttemptResult, final, type OnResult } from './attempt-result.ts'
import { ClientBackpressure } from './client-backpressure.ts'
import { errorText } from './error-body.ts'
import type { AnswerStream, AttemptContext, PreparedAttempt } from './prepared-attempt.ts'
import { recordEnd } from './prepared-attempt.ts'
import { failureOfReport, failureOfStatus } from './status-failure.ts'
import { failureOfError, unreadableFailure } from './upstream-failure.ts'

/** How long to wait for the upstream to end a complete stream, so that its socket can be reused, in milliseconds. */
const lingerMs = 1_000

/**
 * Dispatches the request of an attempt once, and streams its response to the client or returns it as a whole. Calls back
 * once with the result, and never throws after `start`.
 */
export class OpenAttempt implements UpstreamSink, BoundedAttempt {
  readonly #context: AttemptContext
  readonly #prepared: PreparedAttempt
  readonly #onResult: OnResult
  readonly #bounds: AttemptBounds
  #stream: AnswerStream | undefined
  /** Set while a stream is being assembled into a whole response. */
  #collector: AnswerCollector | undefined
  #upstream: OpenRequest | undefined
  readonly #backpressure = new ClientBackpressure((isSlow) => {
    if (this.#mode !== 'streaming') return
    const action = isSlow ? 'pause' : 'resume'
    this.#bounds[action]()
    // Last: bytes already received may end the attempt immediately.
    this.#upstream?.[action]()
  })
  /** Whether received bytes belong to the client's side, which may hold them. */
  #handedOver = false
  #mode: 'waiting' | 'collecting' | 'streaming' | 'over' = 'waiting'
  #status = 0
  #headers: UpstreamHeaders = {}
  readonly #chunks = new ChunkList()
  #bytes = 0
  #startedAt = 0
  #firstContentMs = 0
  #lingering: NodeJS.Timeout | undefined

  constructor(context: AttemptContext, prepared: PreparedAttempt, onResult: OnResult) {
    this.#context = context
    this.#prepared = prepared
    this.#onResult = onResult
    this.#stream = prepared.stream?.()
    this.#bounds = new AttemptBounds(context, this)
  }

  start(freshSocket: boolean): void {
    const { services, target } = this.#context
    this.#startedAt = performance.now()
    const stream = this.#prepared.collector !== undefined || this.isVisible
    const request = upstreamRequest(this.#prepared, this.#context, { stream, freshSocket })
    if (this.#bounds.begin()) this.#upstream = services.transportOf(target).open(request, this)
  }

  get promptBytes(): number {
    return bytesOf(this.#prepared)
  }

  get isVisible(): boolean {
    return this.#stream !== undefined && !this.#stream.isOpaque
  }

  get committed(): boolean {
    return this.#stream?.client.committed ?? false
  }

  get begun(): boolean {
    return this.#handedOver || (this.#mode === 'collecting' && this.#bytes > 0)
  }

  onHeaders(status: number, headers: UpstreamHeaders): void {
    if (this.#mode === 'over') return
    this.#status = status
    this.#headers = headers
    const succeeded = isSuccess(status)
    const foreign = succeeded ? foreignAnswer(headers) : undefined
    if (foreign) {
      this.fail(unreadableFailure(foreign))
      return
    }
    const isOpaque = this.#stream?.isOpaque === true
    const streams = this.#stream && succeeded && (isOpaque || !isJson(headers))
    this.#mode = streams ? 'streaming' : 'collecting'
    if (!streams && succeeded && isEventStream(headers)) this.#collector = this.#prepared.collector?.()
    if (isOpaque || !(streams || this.#collector)) this.#bounds.touch()
  }

  onData(chunk: Buffer): void {
    if (this.#mode === 'streaming') this.#relay(chunk)
    else if (this.#mode === 'collecting' && this.#collector) this.#collectEvents(this.#collector, chunk)
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
    // An error status counts even if its body was truncated.
    if (this.#mode === 'collecting' && !isSuccess(this.#status)) this.#endOfWhole()
    else this.fail(failureOfError(error, this.#mode !== 'waiting', reusedSocket))
  }

  #collect(chunk: Buffer): void {
    this.#bounds.touch()
    const succeeded = isSuccess(this.#status)
    const { large } = this.#prepared
    this.#bytes += chunk.length
    if (large && succeeded && this.#bytes > maxCollectedBytes && isJson(this.#headers)) {
      this.#relayCollected(large(), chunk)
    } else if (this.#bytes <= (succeeded ? maxWholeBytes : maxErrorBytes)) {
      this.#chunks.add(chunk)
    } else if (succeeded) {
      this.fail(unreadableFailure('too large'))
    } else {
      this.#endOfWhole()
      this.#upstream?.abort()
    }
  }

  #collectEvents(collector: AnswerCollector, chunk: Buffer): void {
    const hadContent = collector.content
    this.#bytes += chunk.length
    collector.push(chunk)
    if (collector.failure) {
      this.fail(failureOfReport(collector.failure, this.#context.target))
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
    if (body) this.#finishWhole({ headers: { ...this.#headers, 'content-type': 'application/json' }, body })
    else this.fail(failureOfReport(collector.failure ?? streamTruncated(), this.#context.target))
  }

  #relayCollected(stream: AnswerStream, last: Buffer): void {
    this.#mode = 'streaming'
    this.#stream = stream
    for (const chunk of [...this.#chunks.take(), last]) this.#relay(chunk)
  }

  #endOfWhole(): void {
    const body = joined(this.#chunks.take()) ?? Buffer.alloc(0)
    if (isSuccess(this.#status)) {
      this.#contentSeen()
      this.#finishWhole({ headers: this.#headers, body })
    } else {
      const text = errorText(body, this.#headers)
      this.fail(failureOfStatus(this.#status, this.#headers, text, this.#context.target))
    }
  }

  #finishWhole(answer: WholeAnswer): void {
    this.#context.trace?.received?.(answer.body)
    const firstContentMs = this.#firstContentMs
    this.#finish({ type: 'success', answer, streamed: false, firstContentMs, usage: undefined })
  }

  #relay(chunk: Buffer): void {
    if (!this.#stream) return
    const { filter, client, isOpaque } = this.#stream
    if (!isOpaque) this.#context.trace?.received?.(chunk)
    const out = filter.push(chunk)
    if (this.#handedOver) {
      this.#bounds.touch()
      if (out && !client.write(out)) this.#backpressure.waitFor(client)
    } else {
      this.#bytes += chunk.length
      if (out) this.#chunks.add(typeof out === 'string' ? Buffer.from(out) : out)
      if (filter.state.failure === undefined) this.#maybeCommit(this.#stream)
    }
    this.#checkEnd(this.#stream)
  }

  #maybeCommit({ filter, client }: AnswerStream): void {
    if (!filter.state.content && !filter.state.ended && this.#bytes <= maxHeldBytes) return
    this.#contentSeen()
    this.#bounds.touch()
    this.#handedOver = true
    this.#context.services.exchange.answerId ??= filter.state.answerId
    client.onStop?.((error) => this.#stopped(error))
    client.commit(this.#status, this.#headers)
    const held = joined(this.#chunks.take())
    if (held && !client.write(held)) this.#backpressure.waitFor(client)
  }

  #contentSeen(): void {
    this.#firstContentMs = performance.now() - this.#startedAt
    this.#bounds.contentSeen()
    const { services, trace } = this.#context
    services.exchange.contentSeen()
    if (!this.#prepared.stream) return
    trace?.contentSeen()
    // A whole response is read later, even if a stream was requested.
    if (this.isVisible && this.#stream?.filter.state.content) this.#context.onContent?.()
  }

  #checkEnd(stream: AnswerStream): void {
    const { failure, ended } = stream.filter.state
    if (failure) {
      this.fail(failureOfReport(failure, this.#context.target))
    } else if (ended) {
      this.#complete(stream)
      this.#linger()
    }
  }

  /** The end of the stream was read; waits briefly for the end of the body, so that the socket can be reused. */
  #linger(): void {
    this.#lingering = setTimeout(() => this.#upstream?.abort(), lingerMs)
  }

  #endOfStream(): void {
    if (!this.#stream) return
    const { filter, client } = this.#stream
    const out = filter.end(isFramed(this.#headers))
    if (filter.state.failure || !filter.state.ended) {
      if (out && this.#handedOver) client.write(out)
      this.fail(failureOfReport(filter.state.failure ?? streamTruncated(), this.#context.target))
      return
    }
    if (!this.#handedOver) this.#maybeCommit(this.#stream)
    if (out) client.write(out)
    this.#complete(this.#stream)
  }

  #complete(stream: AnswerStream): void {
    recordEnd(this.#context, stream.filter.state)
    stream.client.end()
    this.#succeed(stream)
  }

  #succeed({ isOpaque, filter }: AnswerStream): void {
    const { usage } = filter.state
    const firstContentMs = isOpaque ? undefined : this.#firstContentMs
    this.#finish({ type: 'success', answer: undefined, streamed: !isOpaque, firstContentMs, usage })
  }

  /** The client gets no more of the response, which says nothing about the target. False: all of it has arrived. */
  #stopped(error: RouterError | undefined): boolean {
    if (this.#mode !== 'streaming' || !this.#stream) return false
    if (error) this.fail(final(error))
    else {
      recordEnd(this.#context, this.#stream.filter.state)
      this.#succeed(this.#stream)
      this.#upstream?.abort()
    }
    return true
  }

  /** After the first content, the error is sent in the client's stream, which ends without an end marker. */
  fail(failure: AttemptFailure): void {
    if (this.#mode === 'over') return
    const begun = this.committed ? this.#stream : undefined
    if (this.#handedOver) this.#stream?.client.discard?.()
    if (begun) {
      recordEnd(this.#context, begun.filter.state, failure.error)
      begun.fail(failure.error)
    }
    this.#finish(begun ? { ...failure, retry: 'none' } : failure)
  }

  #finish(result: AttemptResult<WholeAnswer>): void {
    if (this.#mode === 'over') return
    this.#mode = 'over'
    this.#bounds.end()
    if (result.type === 'failure') this.#upstream?.abort()
    this.#onResult(result)
  }
}
