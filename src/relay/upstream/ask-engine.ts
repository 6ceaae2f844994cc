import { ChunkList } from '../../lib/bytes/chunk-list.ts'
import type { Target } from '../../sdk/target.ts'
import type { Transport, UpstreamRequest } from '../../sdk/transport.ts'
import { isUnreachable } from './connection-errors.ts'

/** Default limit; no model list or metrics page is larger. */
const defaultMaxBytes = 4 * 1024 * 1024

export interface EngineHttpRequest {
  path: string
  /** Sent as JSON. */
  body?: object
  /** POST with a body, otherwise GET, unless given. */
  method?: UpstreamRequest['method']
  /** Maximum size of the response. */
  maxBytes?: number
}

export interface EngineAnswer {
  /** Undefined if there was no response. */
  readonly status: number | undefined
  /** Undefined if absent or too large. */
  readonly text: string | undefined
  readonly timedOut: boolean
  /** The server refuses connections or cannot be reached. */
  readonly refused: boolean
}

export interface EngineRequestOptions {
  readonly transport: Transport
  readonly timeoutMs: number
  readonly userAgent: string
  /** Ends the request early. */
  readonly signal?: AbortSignal
}

/** One request to the server behind a target. Never rejects; redirects are not followed. */
export function askEngine(
  target: Target,
  { path, body, method = body ? 'POST' : 'GET', maxBytes = defaultMaxBytes }: EngineHttpRequest,
  { transport, timeoutMs, userAgent, signal }: EngineRequestOptions,
): Promise<EngineAnswer> {
  const { promise, resolve } = Promise.withResolvers<EngineAnswer>()
  const chunks = new ChunkList()
  let bytes = 0
  let status: number | undefined
  const end = (answer: Partial<EngineAnswer>): void => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    resolve({ status, text: undefined, timedOut: false, refused: false, ...answer })
    call.abort()
  }
  const onAbort = (): void => end({ status: undefined })
  signal?.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => end({ status: undefined, timedOut: true }), timeoutMs)
  const request = {
    origin: target.origin,
    path,
    method,
    headers: {
      accept: 'application/json, text/plain;q=0.9, */*;q=0.1',
      'accept-encoding': 'identity',
      'user-agent': userAgent,
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...definedHeaders(target),
    },
    body: Buffer.from(body ? JSON.stringify(body) : ''),
  } as const
  // `setImmediate`: a transport may call back before `open` has returned.
  const call = transport.open(request, {
    onHeaders: (received) => {
      status = received
    },
    onData: (chunk) => {
      bytes += chunk.length
      if (bytes > maxBytes) setImmediate(end, {})
      else chunks.add(chunk)
    },
    onEnd: () => setImmediate(end, { text: Buffer.concat(chunks.take()).toString() }),
    onError: (error) => setImmediate(end, { status: undefined, refused: isUnreachable(error) }),
  })
  return promise
}

function definedHeaders({ type, token }: Target): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(type.authHeaders(token)))
    if (value !== undefined) headers[name] = value
  return headers
}
