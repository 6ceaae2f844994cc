import type { Readable } from 'node:stream'

/** Lower-case names; a repeated header is a list. */
export type UpstreamHeaders = Record<string, string | string[] | undefined>

export interface UpstreamRequest {
  origin: string
  path: string
  method: 'POST' | 'GET' | 'DELETE'
  headers: Record<string, string>
  /** Chunks of one body, in order. */
  body: Buffer | readonly Buffer[]
  /** Used instead of `body` if it is too large for memory: opens a new stream of it. Its length is in the headers. */
  openBody?: () => Readable
  /** Do not reuse a kept-alive socket: set for the retry after one turned out to be stale. */
  freshSocket?: boolean
}

/**
 * Receives one upstream response. Calls come in this order: `onHeaders` once, `onData` any number of times, then `onEnd` or
 * `onError` once. `onError` may also be the only call.
 */
export interface UpstreamSink {
  onHeaders(status: number, headers: UpstreamHeaders): void
  onData(chunk: Buffer): void
  onEnd(): void
  /**
   * `reusedSocket`: the request was sent on a kept-alive socket, which the upstream may have closed in the meantime. If no
   * response byte arrived, the request may be resent.
   */
  onError(error: Error, reusedSocket: boolean): void
}

/** A request that has been sent. Its methods may be called at any time, even after its end. */
export interface OpenRequest {
  /** Stops `onData` until `resume`; data sent meanwhile stays in the socket. */
  pause(): void
  resume(): void
  /** Aborts the request and releases its socket; the sink is not called again. */
  abort(): void
}

/** Sends requests upstream: over HTTP, or in process for embedded provider types. */
export interface Transport {
  open(request: UpstreamRequest, sink: UpstreamSink): OpenRequest
}

/** Connection settings of a server that differ from Node's defaults. Contains secrets: never logged or returned. */
export interface Connection {
  /**
   * IP address to connect to instead of resolving the hostname in the URL, which remains the `Host` and the name that TLS
   * verifies.
   */
  readonly address?: string
  /** Replaces the port in the URL; only with `address`. */
  readonly port?: number
  /** CA certificates in PEM format, instead of those that Node trusts. */
  readonly ca?: string
  /** Client certificate with its chain, and its key, in PEM format. */
  readonly clientCert?: string
  readonly clientKey?: string
  /** URL of the HTTP proxy that connects to the server (CONNECT: RFC 9110, section 9.3.6), with its credentials. */
  readonly proxy?: string
}
