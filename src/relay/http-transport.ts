/// <reference path="./undici-parts.d.ts" />
import type { LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import type { buildConnector, Dispatcher } from 'undici'
import createConnector from 'undici/lib/core/connect.js'
import Agent from 'undici/lib/dispatcher/agent.js'
import Pool from 'undici/lib/dispatcher/pool.js'
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
  /** Hears of the bytes of answers, as they come. */
  onBytes?: (bytes: number) => void
}): Transport & { close(): Promise<void> } {
  const readBefore = new WeakMap<Error, number>()
  const { onBytes = () => undefined } = options
  const settings = {
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: connectorNoting(readBefore, options),
    // Said to each pool: the agent itself would make a text out of it for every call.
    factory: (origin: string | URL, pool: object) => new Pool(origin, { ...pool, allowH2: false }),
  }
  const pooled = new Agent(settings)
  // For the one silent retry after a stale kept-alive socket: every call gets a socket of its own.
  const fresh = new Agent({ ...settings, pipelining: 0 })
  return {
    open(request, sink) {
      const call = new Call(sink, readBefore, onBytes)
      const dispatcher = request.freshSocket ? fresh : pooled
      dispatcher.dispatch(
        {
          origin: request.origin,
          path: request.path,
          method: request.method,
          headers: headersOf(request),
          body: request.openBody?.() ?? bodyOf(request),
        },
        call,
      )
      return call
    },
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
  const connect = createConnector({
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

/** One call, as undici and as its owner see it. */
class Call implements UpstreamCall, Dispatcher.DispatchHandler {
  readonly #sink: UpstreamSink
  readonly #readBefore: WeakMap<Error, number>
  readonly #onBytes: (bytes: number) => void
  /** Before it runs the controller does not exist: the request waits for a socket. */
  #state: 'waiting' | 'running' | 'over' = 'waiting'
  #controller: Dispatcher.DispatchController | undefined
  #informational = 0

  constructor(sink: UpstreamSink, readBefore: WeakMap<Error, number>, onBytes: (bytes: number) => void) {
    this.#sink = sink
    this.#readBefore = readBefore
    this.#onBytes = onBytes
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#state === 'over') controller.abort(new Error('aborted'))
    else this.#state = 'running'
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: UpstreamHeaders): void {
    if (this.#state !== 'running') return
    if (status >= 200) {
      this.#sink.onHeaders(status, headers)
    } else if (++this.#informational > maxInformational) {
      this.#state = 'over'
      controller.abort(new Error('aborted'))
      this.#fail(new Error('too many informational answers'))
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state !== 'running') return
    this.#onBytes(chunk.length)
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
    this.#fail(error)
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
    this.#sink.onError(error, bytesRead(error, this.#readBefore) > 0)
  }
}

function bodyOf({ body }: UpstreamRequest): Buffer | Readable {
  return Buffer.isBuffer(body) ? body : Readable.from(slicesOf(body), { objectMode: false })
}

/** Written at once, a piece of many MB would stop the process for as long as the system takes to copy it. */
const maxSliceBytes = 1024 * 1024

function* slicesOf(pieces: readonly Buffer[]): Generator<Buffer> {
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += maxSliceBytes) yield piece.subarray(at, at + maxSliceBytes)
}

/** undici knows the length of one buffer, and would send several in chunks, which not every server takes. */
function headersOf({ headers, body, openBody }: UpstreamRequest): Record<string, string> {
  if (openBody || Buffer.isBuffer(body)) return headers
  return { ...headers, 'content-length': `${body.reduce((sum, piece) => sum + piece.length, 0)}` }
}
