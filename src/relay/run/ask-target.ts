import type { StopSignal } from '../../lib/stop-signal.ts'
import type { Usage } from '../../sdk/chat.ts'
import type { AnswerCollector } from '../../sdk/dialect.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/provider.ts'
import type { Target } from '../../sdk/target.ts'
import type { CallTrace } from '../../sdk/trace.ts'
import type { Transport, UpstreamRequest } from '../../sdk/transport.ts'
import { type AnswerStream, type AttemptOptions, type AttemptResult, runAttempt } from '../attempt/attempt.ts'
import type { AttemptWatch } from '../attempt/attempt-watch.ts'
import { type FailedAttempt, onceMoreIfStale, type Send } from '../attempt/stale-socket.ts'
import { noteUpstreamText } from '../attempt/upstream-text.ts'
import type { Exchange } from '../exchange.ts'
import { unlessNotOffered } from '../request/operation-targets.ts'
import { upstreamRequest } from '../request/upstream-request.ts'
import type { ChatServices } from './chat-run.ts'
import { tracedStream } from './traced-stream.ts'

/** A JSON request for one target. */
export interface TargetCall {
  operation: Operation
  body: UpstreamRequest['body']
  /** Whether the client's bytes go through as they are. */
  identity?: boolean
  revoked: AbortSignal | undefined
  trace: CallTrace | undefined
  /** Called at the first content of a stream. */
  onContent?: (() => void) | undefined
}

/** Where the answer may go as it comes; absent: it is collected. */
interface Into {
  stream?: (() => AnswerStream) | undefined
  /** For a whole answer that was asked for as a stream. */
  collector?: (() => AnswerCollector) | undefined
  /** For a whole answer that is too large to be collected. */
  large?: (() => AnswerStream) | undefined
}

/** One sending of a call: what it needs, and who hears of it. */
class Sending implements AttemptOptions {
  readonly target: Target
  readonly transport: Transport
  readonly request: UpstreamRequest
  readonly stream: AnswerStream | undefined
  readonly collector: AnswerCollector | undefined
  readonly large: (() => AnswerStream) | undefined
  readonly timeoutMs: number
  readonly signal: StopSignal
  readonly revoked: AbortSignal | undefined
  readonly watch: AttemptWatch
  readonly clientName: string
  readonly isVisible: boolean
  readonly #exchange: Exchange
  readonly #onStreamContent: (() => void) | undefined
  readonly #trace: CallTrace | undefined

  constructor(
    services: ChatServices,
    target: Target,
    call: TargetCall,
    { stream, collector, large }: Into,
    freshSocket: boolean,
  ) {
    const { exchange } = services
    const { trace } = call
    this.target = target
    this.transport = services.transportOf(target)
    this.stream = tracedStream(stream?.(), trace)
    this.collector = collector?.()
    this.large = large && (() => tracedStream(large(), trace))
    this.request = upstreamRequest({
      target,
      operation: call.operation,
      body: call.body,
      stream: this.stream !== undefined || this.collector !== undefined,
      requestId: exchange.id,
      clientHeaders: services.clientHeaders,
      userAgent: services.userAgent,
      identity: call.identity ?? false,
      freshSocket,
      trace,
    })
    this.timeoutMs = services.timeoutMs
    this.signal = services.signal ?? exchange.stop
    this.revoked = call.revoked
    this.watch = services.watch
    this.clientName = services.clientName()
    this.isVisible = this.stream !== undefined
    this.#exchange = exchange
    this.#onStreamContent = call.onContent
    this.#trace = trace
  }

  onContent(): void {
    this.#exchange.contentSeen()
    if (this.stream) this.#trace?.contentSeen()
    // A whole answer is yet to be read, also where a stream was asked for.
    if (this.stream?.lane.state.content) this.#onStreamContent?.()
  }

  onStreamEnd(usage: Usage | undefined, error: RouterError | undefined): void {
    this.#exchange.addUsage(usage)
    this.#trace?.used(usage)
    if (error) this.#exchange.error = error
  }
}

/**
 * Sends one JSON request to one target and brings its answer, or says why not: once, and once more over a fresh socket where
 * a kept-alive one turned out stale. Rejects for a bug alone.
 */
export function askTarget(
  services: ChatServices,
  target: Target,
  call: TargetCall,
  into: Into = {},
): Promise<AttemptResult> {
  return new Promise((resolve, reject) => {
    const send: Send<AttemptResult> = (freshSocket, onResult) => {
      try {
        runAttempt(new Sending(services, target, call, into, freshSocket), onResult)
      } catch (error) {
        reject(error)
      }
    }
    onceMoreIfStale(send, { calls: services.exchange.calls, model: target.model }, (result) => {
      if (result.type === 'whole') call.trace?.received?.(result.body)
      if (result.type === 'failed') noteUpstreamText(result.error, target, call)
      resolve(result.type === 'failed' ? unlessMissing(result, call.operation, target) : result)
    })
  })
}

function unlessMissing(failed: FailedAttempt, operation: Operation, target: Target): FailedAttempt {
  return { type: 'failed', ...unlessNotOffered(failed, operation, target) }
}
