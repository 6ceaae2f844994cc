import type { Operation, ToolCallFormat } from '../../sdk/operation.ts'
import type { Target } from '../../sdk/target.ts'
import type { UpstreamRequest } from '../../sdk/transport.ts'
import type { RelayServices } from '../services.ts'
import type { AttemptTrace } from '../trace.ts'

/** The request sent to one target. */
export interface UpstreamBody extends Pick<UpstreamRequest, 'body' | 'openBody'> {
  readonly operation: Operation
  /** Absent: a stream if one was requested, otherwise a whole response. */
  readonly form?: ToolCallFormat
  /** Whether the client's bytes, and the headers of its dialect, are passed through. */
  readonly isPassthrough?: boolean
  /** Replaces the headers for JSON. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * The request for one target. Its headers are created here; only those specific to the dialect are copied from the
 * client: its credentials, cookies and host never reach an upstream.
 */
export function upstreamRequest(
  { operation, form, body, openBody, isPassthrough, headers }: UpstreamBody,
  { services, target, trace }: { services: RelayServices; target: Target; trace?: AttemptTrace | undefined },
  { stream, freshSocket }: { stream: boolean; freshSocket: boolean },
): UpstreamRequest {
  return {
    origin: target.origin,
    path: pathOf(target, operation, form ?? (stream ? 'stream' : 'whole')),
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: stream ? 'text/event-stream, application/x-ndjson, application/json' : 'application/json',
      // Compressed streams arrive in bursts, and a compressed response would have to be decompressed to be read.
      'accept-encoding': 'identity',
      'user-agent': services.userAgent,
      'x-request-id': services.exchange.id,
      ...target.type.authHeaders(target.token),
      ...trace?.dispatched(operation, stream),
      ...(isPassthrough ? forwardedHeaders(target, services) : undefined),
      ...headers,
    },
    body,
    ...(openBody && { openBody }),
    freshSocket,
  }
}

function pathOf({ paths, formPaths }: Target, operation: Operation, form: ToolCallFormat): string {
  return formPaths?.[form]?.[operation] ?? paths[operation] ?? ''
}

/** The client's headers that are specific to its dialect. */
function forwardedHeaders({ type }: Target, { clientHeaders }: RelayServices): Record<string, string> {
  const forwarded: Record<string, string> = {}
  for (const name of type.forwardedHeaders ?? []) {
    const value = clientHeaders[name]
    if (typeof value === 'string') forwarded[name] = value
  }
  return forwarded
}

/** Size of the body in memory. */
export function bytesOf({ body }: UpstreamBody): number {
  return Buffer.isBuffer(body) ? body.length : body.reduce((sum, { length }) => sum + length, 0)
}
