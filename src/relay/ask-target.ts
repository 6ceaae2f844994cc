import type { Operation } from '../core/provider.ts'
import type { Target } from '../core/target.ts'
import type { CallTrace } from '../core/trace.ts'
import type { UpstreamRequest } from '../core/transport.ts'
import { type AnswerStream, type AttemptResult, runAttempt } from './attempt.ts'
import type { ChatServices } from './chat-run.ts'
import { unlessNotOffered } from './operation-targets.ts'
import { onceMoreIfStale } from './stale-socket.ts'
import { tracedStream } from './traced-stream.ts'
import { upstreamRequest } from './upstream-request.ts'

/** A JSON request for one target. */
export interface TargetCall {
  operation: Operation
  body: UpstreamRequest['body']
  /** Whether the client's bytes go through as they are. */
  identity?: boolean
  lost: AbortSignal | undefined
  trace: CallTrace | undefined
}

/** Where the answer may go as it comes; absent: it is collected. */
interface Into {
  stream?: () => AnswerStream
  /** For a whole answer that is too large to be collected. */
  large?: () => AnswerStream
}

/**
 * Sends one JSON request to one target and brings its answer, or says why not: once, and once more over a fresh socket where
 * a kept-alive one turned out stale. Never throws.
 */
export async function askTarget(
  services: ChatServices,
  target: Target,
  { operation, body, identity = false, lost, trace }: TargetCall,
  { stream: openStream, large }: Into = {},
): Promise<AttemptResult> {
  const { exchange } = services
  const once = (freshSocket: boolean): Promise<AttemptResult> => {
    const stream = tracedStream(openStream?.(), trace)
    const request = upstreamRequest({
      target,
      operation,
      body,
      stream: stream !== undefined,
      requestId: exchange.id,
      clientHeaders: services.clientHeaders,
      userAgent: services.userAgent,
      identity,
      trace,
    })
    if (freshSocket) exchange.calls.resent(target.model)
    const running = runAttempt({
      target,
      transport: services.transportOf(target),
      request: { ...request, freshSocket },
      stream,
      ...(large ? { large: () => tracedStream(large(), trace) } : {}),
      timeoutMs: services.timeoutMs,
      signal: services.signal ?? exchange.stop,
      lost,
      onContent: () => {
        exchange.contentSeen()
        if (stream) trace?.contentSeen()
      },
      onStreamEnd: (usage, error) => {
        exchange.addUsage(usage)
        trace?.used(usage)
        if (error) exchange.error = error
      },
    })
    return exchange.calls.outside(running)
  }
  const result = await onceMoreIfStale(once)
  if (result.type === 'whole') trace?.received?.(result.body)
  if (result.type !== 'failed' || operation === 'chat') return result
  return { type: 'failed', ...unlessNotOffered(result, operation, target) }
}
