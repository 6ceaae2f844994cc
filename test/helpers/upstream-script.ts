import type { IncomingHttpHeaders } from 'node:http'

export interface RecordedRequest {
  method: string
  url: string
  headers: IncomingHttpHeaders
  raw: Buffer
  /** The body as JSON; undefined if it is not JSON. */
  body: unknown
  /** Bytes of the response body that were written to the socket so far. */
  sentBytes: number
}

/** Bytes to write, or a promise to await before the next bytes; bytes that a promise resolves to are also written. */
export type Piece = string | Uint8Array | Promise<unknown>

/** What the server does with one request. Headers default to JSON for replies and to SSE for streams. */
export type Behaviour =
  | { kind: 'reply'; status?: number; headers?: Record<string, string | string[]>; body: unknown }
  | {
      kind: 'stream'
      status?: number
      headers?: Record<string, string>
      /** Written in order, as fast as the client reads. */
      pieces: Iterable<Piece> | AsyncIterable<Piece>
      /**
       * How it ends: properly (default), never, cut off (FIN without the last chunk), or reset (RST). A reset may
       * overtake bytes that the client has not read yet: put a promise before it if they must arrive.
       */
      ending?: 'end' | 'hang' | 'cut' | 'reset'
    }
  /** The request is read and never answered. */
  | { kind: 'hang' }
  | { kind: 'reset' }
  /** These bytes in place of an HTTP response, then FIN. */
  | { kind: 'raw'; bytes: string | Uint8Array }

/** One behaviour for all requests, a list (its last item repeats), or a function of the request. */
export type Script =
  | Behaviour
  | readonly Behaviour[]
  | ((request: RecordedRequest, index: number) => Behaviour | Promise<Behaviour>)
