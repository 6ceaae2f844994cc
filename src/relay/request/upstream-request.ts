import type { Operation } from '../../sdk/provider.ts'
import type { Target } from '../../sdk/target.ts'
import type { CallTrace } from '../../sdk/trace.ts'
import type { UpstreamRequest } from '../../sdk/transport.ts'

/**
 * The request for one target. Its headers are made here, none is copied from the client but what its dialect has of its
 * own: no credential, cookie or host of a client ever reaches an upstream.
 */
export function upstreamRequest(options: {
  target: Target
  operation: Operation
  body: UpstreamRequest['body']
  stream: boolean
  requestId: string
  clientHeaders: Record<string, string | string[] | undefined>
  userAgent: string
  /** Whether the client's bytes go through as they are. */
  identity?: boolean
  freshSocket?: boolean
  trace: CallTrace | undefined
}): UpstreamRequest {
  const { target, operation, body, stream, trace } = options
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: stream ? 'text/event-stream, application/x-ndjson, application/json' : 'application/json',
    // Compressed streams arrive in clumps, and a compressed answer would have to be inflated to be read.
    'accept-encoding': 'identity',
    'user-agent': options.userAgent,
    'x-request-id': options.requestId,
    ...target.type.authHeaders(target.token),
    ...trace?.sending(operation, stream),
  }
  const through = options.identity ? (target.type.forwardedHeaders ?? []) : []
  for (const name of through) {
    const value = options.clientHeaders[name]
    if (typeof value === 'string') headers[name] = value
  }
  return {
    origin: target.origin,
    path: target.paths[operation] ?? '',
    method: 'POST',
    headers,
    body,
    freshSocket: options.freshSocket ?? false,
  }
}
