import type { IncomingHttpHeaders } from 'node:http'

export interface RecordedRequest {
  method: string
  url: string
  headers: IncomingHttpHeaders
  raw: Buffer
  /** The body as JSON; undefined when it is none. */
  body: unknown
  /** Bytes of the answer's body that were handed to the socket so far. */
  sentBytes: number
}

/** Bytes to write, or something to wait for before the next bytes; bytes that a promise gives are written too. */
export type Piece = string | Uint8Array | Promise<unknown>

/** What the server does with one request. Headers default to JSON for replies and to SSE for streams. */
export type Behaviour =
  | { kind: 'reply'; status?: number; headers?: Record<string, string | string[]>; body: unknown }
  | {
      kind: 'stream'
      status?: number
      headers?: Record<string, string>
      /** Written in order, as fast as the reader takes them. */
      pieces: Iterable<Piece> | AsyncIterable<Piece>
      /**
       * How it ends: properly (default), never, cut off (FIN without the last chunk), or reset (RST). A reset may
       * overtake bytes that the reader has not taken yet: put a promise before it where they must arrive.
       */
      ending?: 'end' | 'hang' | 'cut' | 'reset'
    }
  /** The request is read and never answered. */
  | { kind: 'hang' }
  | { kind: 'reset' }
  /** These bytes in place of an HTTP answer, then FIN. */
  | { kind: 'raw'; bytes: string | Uint8Array }

/** One behaviour for all requests, a list (its last one repeats), or a choice by request. */
export type Script =
  | Behaviour
  | readonly Behaviour[]
  | ((request: RecordedRequest, index: number) => Behaviour | Promise<Behaviour>)
