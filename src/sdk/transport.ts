import type { Readable } from 'node:stream'

/** Lower-case names; a repeated header is a list. */
export type UpstreamHeaders = Record<string, string | string[] | undefined>

export interface UpstreamRequest {
  origin: string
  path: string
  method: 'POST' | 'GET'
  headers: Record<string, string>
  /** Pieces of one body follow one another. */
  body: Buffer | readonly Buffer[]
  /** For a body too large for memory, in the place of `body`: a new stream of it. Its length is in the headers. */
  openBody?: () => Readable
  /** Not over a kept-alive socket: set for the retry after one turned out stale. */
  freshSocket?: boolean
}

/**
 * Receives one upstream answer. Calls come in order: `onHeaders` once, `onData` any number of times, then `onEnd`
 * or `onError` once. `onError` may come first, and alone.
 */
export interface UpstreamSink {
  onHeaders(status: number, headers: UpstreamHeaders): void
  onData(chunk: Buffer): void
  onEnd(): void
  /**
   * `reusedSocket`: the request was sent on a kept-alive socket that had answered another one before. The upstream may have
   * closed it just then, so as long as no byte of an answer came, the request may be sent once more.
   */
  onError(error: Error, reusedSocket: boolean): void
}

/** A request that has been sent. All of its methods may be called at any time, also when it is over. */
export interface OpenRequest {
  /** No `onData` until `resume`; what the upstream sends meanwhile stays in its socket. */
  pause(): void
  resume(): void
  /** Ends the request at once and frees its socket; the sink gets nothing more. */
  abort(): void
}

/** Sends a request upstream. HTTP is one; an embedded provider type brings its own. */
export interface Transport {
  open(request: UpstreamRequest, sink: UpstreamSink): OpenRequest
}
