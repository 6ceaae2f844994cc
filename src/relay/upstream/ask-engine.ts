import { ChunkList } from '../../lib/bytes/chunk-list.ts'
import type { Target } from '../../sdk/target.ts'
import type { OpenRequest, Transport, UpstreamHeaders, UpstreamRequest } from '../../sdk/transport.ts'
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
  /** Empty if there was no response. */
  readonly headers: UpstreamHeaders
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

/**
 * One request to the server behind a target. Never rejects; redirects are not followed. If a kept-alive socket was closed
 * without a response byte, retries once over a new one.
 */
export function askEngine(
  target: Target,
  { path, body, method = body ? 'POST' : 'GET', maxBytes = defaultMaxBytes }: EngineHttpRequest,
  { transport, timeoutMs, userAgent, signal }: EngineRequestOptions,
): Promise<EngineAnswer> {
  const { promise, resolve } = Promise.withResolvers<EngineAnswer>()
  const chunks = new ChunkList()
  let bytes = 0
  let status: number | undefined
  let headers: UpstreamHeaders = {}
  let call: OpenRequest | undefined
  let isOver = false
  const end = (answer: Partial<EngineAnswer>): void => {
    isOver = true
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    resolve({ status, headers, text: undefined, timedOut: false, refused: false, ...answer })
    call?.abort()
  }
  const onAbort = (): void => end({ status: undefined, headers: {} })
  signal?.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => end({ status: undefined, headers: {}, timedOut: true }), timeoutMs)
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
  const send = (freshSocket: boolean): void => {
    if (isOver) return
    // `setImmediate`: a transport may call back before `open` has returned.
    call = transport.open(
      { ...request, freshSocket },
      {
        onHeaders: (receivedStatus, receivedHeaders) => {
          status = receivedStatus
          headers = receivedHeaders
        },
        onData: (chunk) => {
          bytes += chunk.length
          if (bytes > maxBytes) setImmediate(end, {})
          else chunks.add(chunk)
        },
        onEnd: () => setImmediate(end, { text: Buffer.concat(chunks.take()).toString() }),
        onError: (error, reusedSocket) => {
          const isStale = reusedSocket && status === undefined && !freshSocket && !isUnreachable(error)
          if (isStale) setImmediate(send, true)
          else setImmediate(end, { status: undefined, headers: {}, refused: isUnreachable(error) })
        },
      },
    )
  }
  send(false)
  return promise
}

function definedHeaders({ type, token }: Target): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(type.authHeaders(token)))
    if (value !== undefined) headers[name] = value
  return headers
}
