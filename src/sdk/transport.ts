import type { Readable } from 'node:stream'

/** Lower-case names; a repeated header is a list. */
export type UpstreamHeaders = Record<string, string | string[] | undefined>

export interface UpstreamRequest {
  origin: string
  path: string
  method: 'POST' | 'GET'
  headers: Record<string, string>
  /** Chunks of one body, in order. */
  body: Buffer | readonly Buffer[]
  /** For a body too large for memory, instead of `body`: a new stream of it. Its length is in the headers. */
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
   * `reusedSocket`: the request was sent on a kept-alive socket that had served another one before. The upstream may have
   * closed it meanwhile, so if no response byte arrived, the request may be resent.
   */
  onError(error: Error, reusedSocket: boolean): void
}

/** A request that has been sent. All of its methods may be called at any time, also when it is over. */
export interface OpenRequest {
  /** Stops `onData` until `resume`; data sent meanwhile stays in the socket. */
  pause(): void
  resume(): void
  /** Aborts the request and releases its socket; the sink is not called again. */
  abort(): void
}

/** Sends a request upstream. HTTP is one; an embedded provider type brings its own. */
export interface Transport {
  open(request: UpstreamRequest, sink: UpstreamSink): OpenRequest
}
