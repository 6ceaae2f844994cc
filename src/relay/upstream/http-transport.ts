import type { LookupFunction, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { Agent, buildConnector, type Dispatcher, Pool } from 'undici'
import { ConnectError, codeOf, handshakeError, tlsError } from '../../lib/connect-error.ts'
import type {
  Connection,
  OpenRequest,
  Transport,
  UpstreamHeaders,
  UpstreamRequest,
  UpstreamSink,
} from '../../sdk/transport.ts'
import { proxyTunnel } from './proxy-tunnel.ts'

export interface HttpTransport extends Transport {
  /** Aborts all requests. */
  close(): Promise<void>
}

export interface HttpTransportOptions {
  connectTimeoutMs: number
  /** Resolves host names for new connections; the system's resolver by default. */
  lookup?: LookupFunction
  /** How servers are reached; directly by default. */
  connection?: Connection | undefined
  /** Called with the size of each response chunk. */
  onBytes?: (bytes: number) => void
  /** Called whenever a server cannot be reached for a known reason. */
  onConnectError?: (origin: string, error: ConnectError) => void
}

/**
 * HTTP/1.1 over pooled sockets. undici's own timeouts are off: they are coarse, and the body one does not run while
 * a request is paused; the attempt keeps its own watch. Its retry interceptor is never used: it sends a POST again
 * after a stream broke.
 */
export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  const readBefore = new WeakMap<Error, number>()
  const { onBytes = () => undefined, onConnectError = () => undefined } = options
  const shared: Shared = { readBefore, onBytes, onConnectError }
  const settings = {
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: connectorNoting(readBefore, options),
    // Set on each pool: the agent would build a string from it for every request.
    factory: (origin: string | URL, pool: object) => new Pool(origin, { ...pool, allowH2: false }),
  }
  const pooled = new Agent(settings)
  // For the one silent retry after a stale kept-alive socket: every request gets a new socket.
  const fresh = new Agent({ ...settings, pipelining: 0 })
  return {
    open(request, sink) {
      const open = new HttpRequest(sink, shared, request.origin)
      const dispatcher = request.freshSocket ? fresh : pooled
      dispatcher.dispatch(
        {
          origin: request.origin,
          path: request.path,
          method: request.method,
          headers: headersOf(request),
          body: request.openBody?.() ?? bodyOf(request),
        },
        open,
      )
      return open
    },
    async close() {
      await Promise.all([pooled.destroy(), fresh.destroy()])
    },
  }
}

/** Records how much a socket had read when it failed: undici does not report that for resets. */
function connectorNoting(
  readBefore: WeakMap<Error, number>,
  options: HttpTransportOptions,
): buildConnector.connector {
  const connect = connectorOf(options)
  const { onConnectError = () => undefined, connection } = options
  return (wanted, done) => {
    connect(atAddress(wanted, connection), (...result) => {
      const [error, socket] = result
      if (error !== null) {
        const named = handshakeError(error)
        if (named instanceof ConnectError) onConnectError(`${wanted.protocol}//${wanted.host}`, named)
        done(named, null)
        return
      }
      withoutStacksAtOverflow(socket)
      // A response of the proxy is not a response of the server.
      const before = socket.bytesRead
      socket.on('error', (error: Error) => {
        readBefore.set(error, socket.bytesRead - before)
        // Node leaves a socket open after a TLS alert; its end would then replace the error in undici.
        if (!socket.destroyed) socket.destroy(error)
      })
      done(null, socket)
    })
  }
}

/** Keeps the host name for TLS (SNI and verification): undici takes it from `host`. */
function atAddress(
  wanted: buildConnector.Options,
  { address, port }: Connection = {},
): buildConnector.Options {
  if (address === undefined) return wanted
  return { ...wanted, hostname: address, ...(port === undefined ? {} : { port: `${port}` }) }
}

const overflowCode = 'UND_ERR_HEADERS_OVERFLOW'

/**
 * Beyond its header limit, undici creates an error for every further header that it has read: thousands at once, nearly all
 * of whose cost is capturing unused stack traces. They are disabled from the first such error until the read ends.
 */
function withoutStacksAtOverflow(socket: Socket): void {
  const destroy = socket.destroy.bind(socket)
  socket.destroy = (error?: Error) => {
    if (error !== undefined && codeOf(error) === overflowCode) {
      const { stackTraceLimit } = Error
      Error.stackTraceLimit = 0
      queueMicrotask(() => {
        Error.stackTraceLimit = stackTraceLimit
      })
    }
    return destroy(error)
  }
}

function connectorOf({
  connectTimeoutMs: timeoutMs,
  lookup,
  connection = {},
}: HttpTransportOptions): buildConnector.connector {
  const { ca, clientCert: cert, clientKey: key, proxy } = connection
  const plain = {
    timeout: timeoutMs,
    autoSelectFamily: true,
    allowH2: false,
    ...(lookup === undefined ? {} : { lookup }),
  }
  const secure = buildConnector({
    ...plain,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  })
  return proxy === undefined ? secure : proxyTunnel({ proxy, timeoutMs, connect: plain, ca, secure })
}

function bytesRead(error: Error, readBefore: WeakMap<Error, number>): number {
  const noted = readBefore.get(error)
  if (noted !== undefined) return noted
  const socket = 'socket' in error ? error.socket : undefined
  return typeof socket === 'object' && socket !== null && 'bytesRead' in socket ? Number(socket.bytesRead) : 0
}

/** An upstream may send a few 1xx responses first; more are treated as an error. */
const maxInformational = 10

/** State shared by all requests of a transport. */
interface Shared extends Required<Pick<HttpTransportOptions, 'onBytes' | 'onConnectError'>> {
  /** Bytes that the socket had read when it failed with this error. */
  readBefore: WeakMap<Error, number>
}

/** One request, between undici and its caller. */
class HttpRequest implements OpenRequest, Dispatcher.DispatchHandler {
  readonly #sink: UpstreamSink
  readonly #shared: Shared
  readonly #origin: string
  /** Until the request has a socket, the controller does not exist. */
  #state: 'waiting' | 'running' | 'over' = 'waiting'
  #controller: Dispatcher.DispatchController | undefined
  #answered = false
  #informational = 0

  constructor(sink: UpstreamSink, shared: Shared, origin: string) {
    this.#sink = sink
    this.#shared = shared
    this.#origin = origin
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#state === 'over') controller.abort(new Error('aborted'))
    else this.#state = 'running'
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: UpstreamHeaders): void {
    if (this.#state !== 'running') return
    if (status >= 200) {
      this.#answered = true
      this.#sink.onHeaders(status, headers)
    } else if (++this.#informational > maxInformational) {
      this.#state = 'over'
      controller.abort(new Error('aborted'))
      this.#fail(new Error('too many informational responses'))
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state !== 'running') return
    this.#shared.onBytes(chunk.length)
    this.#sink.onData(chunk)
  }

  onResponseEnd(): void {
    if (this.#state !== 'running') return
    this.#state = 'over'
    this.#sink.onEnd()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    const refused = this.#answered ? undefined : tlsError(error)
    if (refused) this.#shared.onConnectError(this.#origin, refused)
    this.#fail(refused ?? error)
  }

  pause(): void {
    if (this.#state === 'running') this.#controller?.pause()
  }

  resume(): void {
    if (this.#state === 'running') this.#controller?.resume()
  }

  abort(): void {
    if (this.#state === 'over') return
    this.#state = 'over' // first: abort() reports the error in the same tick
    this.#controller?.abort(new Error('aborted'))
  }

  #fail(error: Error): void {
    // Too many headers are part of a response, so the socket was not stale.
    const answered = codeOf(error) === overflowCode
    this.#sink.onError(error, !answered && bytesRead(error, this.#shared.readBefore) > 0)
  }
}

function bodyOf({ body }: UpstreamRequest): Buffer | Readable {
  return Buffer.isBuffer(body) ? body : Readable.from(slicesOf(body), { objectMode: false })
}

/** Writing many MB at once would block the process while the system copies them. */
const maxSliceBytes = 1024 * 1024

function* slicesOf(pieces: readonly Buffer[]): Generator<Buffer> {
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += maxSliceBytes) yield piece.subarray(at, at + maxSliceBytes)
}

/** undici knows the length of a single buffer; it would send several with chunked coding, which not every server accepts. */
function headersOf({ headers, body, openBody }: UpstreamRequest): Record<string, string> {
  if (openBody || Buffer.isBuffer(body)) return headers
  return { ...headers, 'content-length': `${body.reduce((sum, piece) => sum + piece.length, 0)}` }
}
