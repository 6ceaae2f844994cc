import { readFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { getBuiltinModule } from 'node:process'
import type { Duplex } from 'node:stream'
import { flushDeferredWrites } from '../lib/deferred-writes.ts'
import { STATUS_CODES } from '../lib/status-codes.ts'

/**
 * Not an `import`, which evaluates every export: one of them makes Node load fetch and WebSocket, which takes 30 ms at startup.
 */
const { createServer } = getBuiltinModule('node:http')

/** Limits per connection; times in milliseconds. */
export interface HttpLimits {
  /** From the connection, or the first byte of a later request, to the end of the headers. */
  headersTimeoutMs: number
  /** To the end of the request body; begins like `headersTimeoutMs`. */
  requestTimeoutMs: number
  /** Interval at which the two limits above are checked. */
  checkIntervalMs: number
  /** Maximum idle time of a connection between two requests. */
  keepAliveTimeoutMs: number
  /** Maximum time for which a client may stop reading a response; 0: no limit. */
  writeStallMs: number
  /** Maximum pipelined requests, the one being processed included. */
  maxPipelined: number
  /** Undefined: no limit. */
  maxConnections: number | undefined
}

export const defaultLimits: Omit<HttpLimits, 'writeStallMs' | 'maxConnections'> = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 120_000,
  checkIntervalMs: 1_000,
  keepAliveTimeoutMs: 75_000,
  maxPipelined: 100,
}

const maxHeaderBytes = 16 * 1024

/**
 * Creates Node's HTTP/1.1 server with limits against slow, stalled and greedy clients. Input that is not HTTP never becomes a
 * request: the server replies with a small JSON body and closes the connection. `onRejected` is called with the reason.
 */
export function createHttpServer(
  handler: RequestListener,
  limits: HttpLimits,
  onRejected: (code: string) => void,
): Server {
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: maxHeaderBytes,
    insecureHTTPParser: false,
    // Validated with the other request rules, where the client's dialect is known.
    requireHostHeader: false,
  })
  // Node would silently drop headers above the limit. Their total size is limited, and the request rules count them.
  server.maxHeadersCount = 0
  if (limits.maxConnections !== undefined) server.maxConnections = limits.maxConnections
  const pipelines = new Pipelines(handler)
  const accept = (request: IncomingMessage, response: ServerResponse): void => {
    if (pipelines.add(request, response) <= limits.maxPipelined) return
    onRejected('PIPELINING')
    flushDeferredWrites()
    request.socket.destroy()
  }
  server.on('request', accept)
  // Without these listeners, Node would send `100 Continue` or reject the request before any validation.
  server.on('checkContinue', accept)
  server.on('checkExpectation', accept)
  server.on('drop', () => onRejected('MAX_CONNECTIONS'))
  rejectInvalidInput(server, pipelines, onRejected)
  // Once there is a listener, idle keep-alive connections emit this event too.
  server.on('timeout', (socket) => {
    if (pipelines.isIdle(socket) || socket.writableLength > 0) socket.destroy()
  })
  if (limits.writeStallMs > 0) watchWrites(server, limits.writeStallMs, (socket) => pipelines.isIdle(socket))
  return server
}

/** A third of the file descriptor limit: each client may need an upstream socket, and logs need some. */
export function connectionLimit(): number | undefined {
  try {
    const files = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return files === undefined ? undefined : Math.max(1, Math.floor(Number(files) / 3))
  } catch {
    return undefined // not Linux
  }
}

/** Handles input that Node does not turn into a request. */
function rejectInvalidInput(server: Server, pipelines: Pipelines, onRejected: (code: string) => void): void {
  server.on('connect', (_request, socket) => {
    // Node has removed its own listener, and an error without one would end the process.
    socket.on('error', () => undefined)
    onRejected('CONNECT')
    flushDeferredWrites()
    pipelines.rejectNext(socket, { isSlow: true }, () => reject(socket, 405))
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const code = error.code ?? error.name
    // Anything after a request with `Connection: close` is ignored (RFC 9112, section 9.6). Its response closes the
    // connection.
    if (code === 'HPE_CLOSED_CONNECTION') return
    // The last response has been sent; the client has disconnected or sent garbage instead of the rest of its body.
    if (socket.writableEnded) {
      socket.destroy()
      return
    }
    if (code !== 'ECONNRESET') onRejected(code)
    // Earlier responses must still reach the client.
    flushDeferredWrites()
    if (code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else pipelines.rejectNext(socket, { isSlow: code === slowCode }, () => reject(socket, statusOf(error)))
  })
}

const slowCode = 'ERR_HTTP_REQUEST_TIMEOUT'

interface PendingRequest {
  request: IncomingMessage
  response: ServerResponse
}

/**
 * Processes the requests of a connection one after the other. Node emits pipelined requests immediately, even after a
 * response that closes the connection, when no more may be processed (RFC 9112, section 9.6).
 */
class Pipelines {
  readonly #handler: RequestListener
  /** Requests without a complete response; the first one is being processed. */
  readonly #ofSocket = new WeakMap<Duplex, PendingRequest[]>()
  /** Rejections to send after the pending responses. */
  readonly #rejections = new WeakMap<Duplex, () => void>()

  constructor(handler: RequestListener) {
    this.#handler = handler
  }

  /** Adds a request. Returns the number of requests of its connection without a complete response, this one included. */
  add(request: IncomingMessage, response: ServerResponse): number {
    const { socket } = request
    const pending = this.#ofSocket.get(socket) ?? this.#begin(socket)
    pending.push({ request, response })
    if (pending.length === 1) this.#next(pending)
    return pending.length
  }

  #begin(socket: Duplex): PendingRequest[] {
    const pending: PendingRequest[] = []
    this.#ofSocket.set(socket, pending)
    return pending
  }

  isIdle(socket: Duplex): boolean {
    return (this.#ofSocket.get(socket)?.length ?? 0) === 0
  }

  /**
   * Rejects the current input of a connection after the responses to all earlier requests. A response that has begun is cut
   * off, unless the client is merely slow.
   */
  rejectNext(socket: Duplex, { isSlow }: { isSlow: boolean }, reject: () => void): void {
    if (this.#rejections.has(socket)) return
    const pending = this.#ofSocket.get(socket) ?? []
    const [running] = pending
    // If the body of the last request is incomplete, it is the invalid input. No handler has seen it unless it is the first.
    const isBroken = pending.at(-1)?.request.complete === false
    if (isBroken && pending.length > 1) pending.pop()
    const isFirst = !running || (isBroken && pending.length === 1)
    if (running?.response.headersSent && (isFirst || !isSlow)) socket.destroy()
    else if (isFirst) reject()
    else this.#rejections.set(socket, reject)
  }

  #next(pending: PendingRequest[]): void {
    const [next] = pending
    if (!next) return
    const { request, response } = next
    const { socket } = request
    // The previous response has closed the connection.
    if (socket.writableEnded || socket.destroyed) return
    response.on('close', () => {
      linger(request, socket)
      pending.shift()
      if (pending.length > 0) this.#next(pending)
      else if (socket.writable) this.#rejections.get(socket)?.()
    })
    this.#handler(request, response)
  }
}

/** Maps llhttp's error codes: https://github.com/nodejs/llhttp (`src/llhttp/constants.ts`). */
function statusOf(error: NodeJS.ErrnoException): number {
  // A bare LF after the version.
  if ('reason' in error && error.reason === 'Expected CRLF after version') return 400
  switch (error.code) {
    case slowCode:
      return 408
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 413
    case 'HPE_HEADER_OVERFLOW':
      return 431
    case 'HPE_INVALID_VERSION':
      return 505
    default:
      return 400
  }
}

/** The dialect is unknown here, so the body uses OpenAI's format, which most clients read. */
function reject(socket: Duplex, status: number): void {
  const message = status === 400 ? 'The request is not valid HTTP/1.1' : (STATUS_CODES[status] ?? '')
  const error = { message, type: 'invalid_request_error', param: null, code: null }
  const body = JSON.stringify({ error })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

/** Maximum time for which a client may keep sending after its last response, in milliseconds. */
const lingerMs = 5_000

/**
 * Lingering close (RFC 9112, section 9.6): keeps reading from a client that is still sending its body when the response has
 * ended the connection. Node would close at once, and the kernel would answer further data with a reset, so a client that only
 * reads after sending would get EPIPE instead of the response.
 */
function linger(request: IncomingMessage, socket: Socket): void {
  if (request.complete || !socket.writableEnded || socket.destroyed) return
  // Added by `destroySoon`, which Node calls after the last response.
  socket.off('finish', socket.destroy)
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref()
  socket.once('close', () => clearTimeout(timer))
  request.once('end', () => socket.destroySoon())
  request.resume()
}

/** Check interval as a fraction of the limit. */
const checkShare = 1 / 4

/**
 * Sets a timeout of `limitMs` on sockets with unsent data; Node then emits `timeout` on the server. Only on these, because a
 * timer on every socket would be reset by each write. `isIdle`: whether a socket is between two requests, when the keep-alive
 * timeout applies.
 */
function watchWrites(server: Server, limitMs: number, isIdle: (socket: Socket) => boolean): void {
  const sockets = new Set<Socket>()
  let timer: NodeJS.Timeout | undefined
  const check = (): void => {
    for (const socket of sockets) {
      const isWaiting = socket.writableLength > 0
      if (isWaiting && socket.timeout !== limitMs) socket.setTimeout(limitMs)
      else if (!isWaiting && socket.timeout === limitMs && !isIdle(socket)) socket.setTimeout(0)
    }
  }
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    timer ??= setInterval(check, limitMs * checkShare)
  })
  server.on('close', () => {
    clearInterval(timer)
    timer = undefined
  })
}
