import type { Operation } from '../core/provider.ts'
import type { Target } from '../core/target.ts'
import type { UpstreamRequest } from '../core/transport.ts'

/** Headers of the client that may go upstream: trace context (W3C) and nothing else. */
const forwarded = ['traceparent', 'tracestate'] as const

/**
 * The request for one target. Its headers are made here, none is copied from the client but the trace context: no
 * credential, cookie or host of a client ever reaches an upstream.
 */
export function upstreamRequest(options: {
  target: Target
  operation: Operation
  body: Buffer
  stream: boolean
  requestId: string
  clientHeaders: Record<string, string | string[] | undefined>
  userAgent: string
  /** Whether the client's bytes go through as they are. */
  identity?: boolean
}): UpstreamRequest {
  const { target, operation, body, stream } = options
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: stream ? 'text/event-stream, application/x-ndjson, application/json' : 'application/json',
    // Compressed streams arrive in clumps, and a compressed answer would have to be inflated to be read.
    'accept-encoding': 'identity',
    'user-agent': options.userAgent,
    'x-request-id': options.requestId,
    ...target.type.authHeaders(target.token),
  }
  const through = options.identity ? (target.type.forwardedHeaders ?? []) : []
  for (const name of [...forwarded, ...through]) {
    const value = options.clientHeaders[name]
    if (typeof value === 'string') headers[name] = value
  }
  return { origin: target.origin, path: target.paths[operation] ?? '', method: 'POST', headers, body }
}
