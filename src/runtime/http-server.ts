import { readFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { getBuiltinModule } from 'node:process'
import type { Duplex } from 'node:stream'
import { flushDeferredWrites } from '../lib/deferred-writes.ts'

/**
 * Not an `import`, which would read every export: one of them makes Node load all of fetch and WebSocket, 30 ms of
 * start-up.
 */
const { createServer, STATUS_CODES } = getBuiltinModule('node:http')

/** Limits per connection; times in milliseconds. */
export interface HttpLimits {
  /** From the first byte of a request, or from the connection, to the end of its headers. */
  headersTimeoutMs: number
  /** To the end of the request body. */
  requestTimeoutMs: number
  /** Interval at which the two limits above are checked. */
  checkIntervalMs: number
  /** Maximum idle time of a connection between two requests. */
  keepAliveTimeoutMs: number
  /** How long a client may stop reading a response; 0 for no limit. */
  writeStallMs: number
  /** Maximum requests that a client may send before the first of them has its response. */
  maxPipelined: number
  /** Undefined for no limit. */
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
 * Node's HTTP/1.1 server with limits against slow, stalled and greedy clients. Input that is not HTTP never becomes a
 * request: the server replies with a small JSON body and closes the connection. `onRefused`: called with the reason.
 */
export function createHttpServer(
  handler: RequestListener,
  limits: HttpLimits,
  onRefused: (code: string) => void,
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
  // Above a limit, Node would silently drop headers. Their size bounds them, and the request rules count them.
  server.maxHeadersCount = 0
  if (limits.maxConnections !== undefined) server.maxConnections = limits.maxConnections
  const turns = new Turns(handler)
  const accept = (request: IncomingMessage, response: ServerResponse): void => {
    if (turns.add(request, response) <= limits.maxPipelined) return
    onRefused('PIPELINING')
    flushDeferredWrites()
    request.socket.destroy()
  }
  server.on('request', accept)
  // Without these listeners, Node would send `100 Continue` or reject the request before any validation.
  server.on('checkContinue', accept)
  server.on('checkExpectation', accept)
  server.on('drop', () => onRefused('MAX_CONNECTIONS'))
  refuseUnreadable(server, turns, onRefused)
  // Once there is a listener, idle keep-alive connections emit this event too.
  server.on('timeout', (socket) => {
    if (turns.isIdle(socket) || socket.writableLength > 0) socket.destroy()
  })
  if (limits.writeStallMs > 0) watchWrites(server, limits.writeStallMs, (socket) => turns.isIdle(socket))
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
function refuseUnreadable(server: Server, turns: Turns, onRefused: (code: string) => void): void {
  server.on('connect', (_request, socket) => {
    onRefused('CONNECT')
    refuse(socket, 405)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const code = error.code ?? error.name
    // RFC 9112, section 9.6: anything after a request with `Connection: close` is ignored. Its response closes the
    // connection.
    if (code === 'HPE_CLOSED_CONNECTION') return
    // The last response has been sent, and the client disconnects or sends garbage in the middle of its body.
    if (socket.writableEnded) {
      socket.destroy()
      return
    }
    if (code !== 'ECONNRESET') onRefused(code)
    // Earlier responses must still reach the client.
    flushDeferredWrites()
    if (code === 'ECONNRESET' || !socket.writable) socket.destroy()
    else turns.refuseNext(socket, { isSlow: code === slowCode }, () => refuse(socket, statusOf(error)))
  })
}

const slowCode = 'ERR_HTTP_REQUEST_TIMEOUT'

interface Turn {
  request: IncomingMessage
  response: ServerResponse
}

/**
 * Processes the requests of a connection one after the other. Node emits pipelined requests at once, even after a
 * response that closes the connection, after which none may be processed: RFC 9112, section 9.6.
 */
class Turns {
  readonly #handler: RequestListener
  /** The first turn is being processed. */
  readonly #ofSocket = new WeakMap<Duplex, Turn[]>()
  /** Rejections to send after the pending responses. */
  readonly #refusals = new WeakMap<Duplex, () => void>()

  constructor(handler: RequestListener) {
    this.#handler = handler
  }

  /** Returns the number of requests without a complete response, this one included. */
  add(request: IncomingMessage, response: ServerResponse): number {
    const { socket } = request
    const turns = this.#ofSocket.get(socket) ?? this.#begin(socket)
    turns.push({ request, response })
    if (turns.length === 1) this.#next(turns)
    return turns.length
  }

  #begin(socket: Duplex): Turn[] {
    const turns: Turn[] = []
    this.#ofSocket.set(socket, turns)
    return turns
  }

  isIdle(socket: Duplex): boolean {
    return (this.#ofSocket.get(socket)?.length ?? 0) === 0
  }

  /**
   * Rejects the current input of a connection once all earlier requests have their responses. Nothing may follow a
   * response that has begun; it continues only if the client is merely slow.
   */
  refuseNext(socket: Duplex, { isSlow }: { isSlow: boolean }, refuse: () => void): void {
    if (this.#refusals.has(socket)) return
    const turns = this.#ofSocket.get(socket) ?? []
    const [running] = turns
    // If the last request's body is incomplete, it is the invalid input. No handler has seen it unless it is the first.
    const isBroken = turns.at(-1)?.request.complete === false
    if (isBroken && turns.length > 1) turns.pop()
    const isFirst = !running || (isBroken && turns.length === 1)
    if (running?.response.headersSent && (isFirst || !isSlow)) socket.destroy()
    else if (isFirst) refuse()
    else this.#refusals.set(socket, refuse)
  }

  #next(turns: Turn[]): void {
    const [turn] = turns
    if (!turn) return
    const { request, response } = turn
    const { socket } = request
    // The previous response was the last one.
    if (socket.writableEnded || socket.destroyed) return
    response.on('close', () => {
      linger(request)
      turns.shift()
      if (turns.length > 0) this.#next(turns)
      else if (socket.writable) this.#refusals.get(socket)?.()
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
function refuse(socket: Duplex, status: number): void {
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

/** How long a client may keep sending after its last response, in milliseconds. */
const lingerMs = 5_000

/**
 * Lingering close: keeps reading a client that still sends its body after the response has ended the connection. Node
 * would close at once, and the kernel would answer further data with a reset. A client that reads only after sending
 * would then see a broken pipe instead of why its body was rejected. RFC 9112, section 9.6.
 */
function linger(request: IncomingMessage): void {
  const { socket, complete } = request
  if (complete || !socket.writableEnded || socket.destroyed) return
  // Added by `destroySoon`, with which Node closes after the last response.
  socket.off('finish', socket.destroy)
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref()
  socket.once('close', () => clearTimeout(timer))
  request.once('end', () => socket.destroySoon())
  request.resume()
}

/** Check interval as a fraction of the limit. */
const checkShare = 1 / 4

/**
 * Sets a timeout of `limitMs` on sockets whose peer does not read what was written; Node then emits `timeout` on the
 * server. Limited to these sockets, because a timer on each socket would be reset with every write. `isIdle`: whether a
 * socket is between two requests, where the keep-alive timeout applies.
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
