import type { Operation } from '../core/provider.ts'
import type { Target } from '../core/target.ts'
import { type AttemptResult, runAttempt } from './attempt.ts'
import type { ChatServices } from './chat-run.ts'
import { unlessNotOffered } from './operation-targets.ts'
import { onceMoreIfStale } from './stale-socket.ts'
import { upstreamRequest } from './upstream-request.ts'

/** Sends one JSON request to one target and collects its answer. Never throws. */
export async function askTarget(
  services: ChatServices,
  target: Target,
  { operation, body, identity = false }: { operation: Operation; body: Buffer; identity?: boolean },
): Promise<AttemptResult> {
  const { exchange } = services
  const request = upstreamRequest({
    target,
    operation,
    body,
    stream: false,
    requestId: exchange.id,
    clientHeaders: services.clientHeaders,
    userAgent: services.userAgent,
    identity,
  })
  const result = await onceMoreIfStale((freshSocket) => {
    if (freshSocket) exchange.calls.resent(target.model)
    const running = runAttempt({
      target,
      transport: services.transportOf(target),
      request: { ...request, freshSocket },
      stream: undefined,
      timeoutMs: services.timeoutMs,
      signal: services.signal ?? exchange.signal,
      onContent: () => exchange.contentSeen(),
      onStreamEnd: () => undefined,
    })
    return exchange.calls.outside(running)
  })
  return result.type === 'failed'
    ? { type: 'failed', ...unlessNotOffered(result, operation, target) }
    : result
}
