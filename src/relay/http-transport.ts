import type { LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import type {
  Transport,
  UpstreamCall,
  UpstreamHeaders,
  UpstreamRequest,
  UpstreamSink,
} from '../core/transport.ts'

/**
 * HTTP/1.1 over pooled sockets. undici's own timeouts are off: they are coarse, and the body one does not run while
 * a call is paused; the attempt keeps its own watch. Its retry interceptor is never used: it sends a POST again
 * after a stream broke.
 */
export function createHttpTransport(options: {
  connectTimeoutMs: number
  /** How a name becomes addresses, for new connections; the system's way unless given. */
  lookup?: LookupFunction
}): Transport & { close(): Promise<void> } {
  const readBefore = new WeakMap<Error, number>()
  const settings = {
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: connectorNoting(readBefore, options),
  }
  const pooled = new Agent(settings)
  // For the one silent retry after a stale kept-alive socket: every call gets a socket of its own.
  const fresh = new Agent({ ...settings, pipelining: 0 })
  return {
    open: (request, sink) =>
      dispatch(request.freshSocket ? fresh : pooled, request, {
        onHeaders: (status, headers) => sink.onHeaders(status, headers),
        onData: (chunk) => sink.onData(chunk),
        onEnd: () => sink.onEnd(),
        onError: (error) => sink.onError(error, bytesRead(error, readBefore) > 0),
      }),
    async close() {
      await Promise.all([pooled.destroy(), fresh.destroy()])
    },
  }
}

/** Notes, for the error that ends a socket, how much the socket had read by then: undici does not tell for resets. */
function connectorNoting(
  readBefore: WeakMap<Error, number>,
  { connectTimeoutMs, lookup }: { connectTimeoutMs: number; lookup?: LookupFunction },
): buildConnector.connector {
  const connect = buildConnector({
    timeout: connectTimeoutMs,
    autoSelectFamily: true,
    allowH2: false,
    ...(lookup === undefined ? {} : { lookup }),
  })
  return (options, done) => {
    connect(options, (...result) => {
      const [error, socket] = result
      if (error === null) socket.on('error', (fault: Error) => readBefore.set(fault, socket.bytesRead))
      done(...result)
    })
  }
}

function bytesRead(error: Error, readBefore: WeakMap<Error, number>): number {
  const noted = readBefore.get(error)
  if (noted !== undefined) return noted
  const socket = 'socket' in error ? error.socket : undefined
  return typeof socket === 'object' && socket !== null && 'bytesRead' in socket ? Number(socket.bytesRead) : 0
}

/** An upstream may announce its answer with a few 1xx ones; a flood of them is none. */
const maxInformational = 10

/** Before this the controller does not exist: the request waits for a socket. */
type State = 'waiting' | 'running' | 'over'

type Listener = Omit<UpstreamSink, 'onError'> & { onError(error: Error): void }

function dispatch(dispatcher: Dispatcher, request: UpstreamRequest, sink: Listener): UpstreamCall {
  let state: State = 'waiting'
  let controller: Dispatcher.DispatchController | undefined
  let informational = 0
  dispatcher.dispatch(
    {
      origin: request.origin,
      path: request.path,
      method: request.method,
      headers: headersOf(request),
      body: request.openBody?.() ?? bodyOf(request),
    },
    {
      onRequestStart(started) {
        controller = started
        if (state === 'over') started.abort(new Error('aborted'))
        else state = 'running'
      },
      onResponseStart(started, status, headers) {
        if (state !== 'running') return
        if (status >= 200) {
          sink.onHeaders(status, headers as UpstreamHeaders)
        } else if (++informational > maxInformational) {
          state = 'over'
          started.abort(new Error('aborted'))
          sink.onError(new Error('too many informational answers'))
        }
      },
      onResponseData(_controller, chunk) {
        if (state === 'running') sink.onData(chunk)
      },
      onResponseEnd() {
        if (state !== 'running') return
        state = 'over'
        sink.onEnd()
      },
      onResponseError(_controller, error) {
        if (state === 'over') return
        state = 'over'
        sink.onError(error)
      },
    },
  )
  return {
    pause: () => {
      if (state === 'running') controller?.pause()
    },
    resume: () => {
      if (state === 'running') controller?.resume()
    },
    abort: () => {
      if (state === 'over') return
      state = 'over' // first: abort() reports the error in the same tick
      controller?.abort(new Error('aborted'))
    },
  }
}

function bodyOf({ body }: UpstreamRequest): Buffer | Readable {
  return Buffer.isBuffer(body) ? body : Readable.from(body, { objectMode: false })
}

/** undici knows the length of one buffer, and would send several in chunks, which not every server takes. */
function headersOf({ headers, body, openBody }: UpstreamRequest): Record<string, string> {
  if (openBody || Buffer.isBuffer(body)) return headers
  return { ...headers, 'content-length': `${body.reduce((sum, piece) => sum + piece.length, 0)}` }
}
