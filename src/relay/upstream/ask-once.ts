import type { LookupFunction } from 'node:net'
import { ChunkList } from '../../lib/bytes/chunk-list.ts'
import type { Connection } from '../../sdk/transport.ts'
import { createHttpTransport } from './http-transport.ts'

export interface OneTimeRequest {
  origin: string
  /** With its query. */
  path: string
  connection: Connection | undefined
  /** Besides those of the body. */
  headers?: Readonly<Record<string, string | undefined>>
  /** Resolves host names; the system's resolver by default. */
  lookup?: LookupFunction
  /** Sent as JSON with POST; absent: GET. */
  body?: unknown
  /** Cancels the request, which then rejects. */
  signal: AbortSignal
}

export interface TextAnswer {
  status: number
  text: string
}

/** Model lists are far smaller. */
const maxAnswerBytes = 32 * 1024 * 1024
const connectTimeoutMs = 10_000

/**
 * Sends one request to a server, for CLI commands: over a new connection, configured like those of the router. Redirects are not
 * followed. Rejects with the error of the connection, see connect-error.ts, or the reason of the signal.
 */
export async function askOnce({
  origin,
  path,
  connection,
  headers = {},
  lookup,
  body,
  signal,
}: OneTimeRequest): Promise<TextAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<TextAnswer>()
  const transport = createHttpTransport({
    connectTimeoutMs,
    connection,
    ...(lookup === undefined ? {} : { lookup }),
  })
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    const chunks = new ChunkList()
    let status = 0
    let bytes = 0
    transport.open(
      {
        origin,
        path,
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          ...definedOnly(headers),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: Buffer.from(body === undefined ? '' : JSON.stringify(body)),
      },
      {
        onHeaders: (code) => {
          status = code
        },
        onData: (chunk) => {
          bytes += chunk.length
          if (bytes <= maxAnswerBytes) chunks.add(chunk)
          else reject(new Error('the answer is too large'))
        },
        onEnd: () => resolve({ status, text: Buffer.concat(chunks.take()).toString() }),
        onError: reject,
      },
    )
    return await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    await transport.close()
  }
}

function definedOnly(headers: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(headers)
  return Object.fromEntries(entries.filter((header): header is [string, string] => header[1] !== undefined))
}
