import { readFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { getBuiltinModule } from 'node:process'
import type { Duplex } from 'node:stream'
import { writeWaiting } from '../lib/turn-end.ts'

/** An `import` would read each of its members, at one of which Node loads all of fetch and WebSocket: 30 ms of a start. */
const { createServer, STATUS_CODES } = getBuiltinModule('node:http')

/** What one connection may take of the server's time and room; times in milliseconds. */
export interface HttpLimits {
  /** From the first byte of a request, or from the connection, to the end of its headers. */
  headersTimeoutMs: number
  /** To the end of its body. */
  requestTimeoutMs: number
  /** How often the two above are looked at. */
  checkIntervalMs: number
  /** How long a connection may stay open between two requests. */
  keepAliveTimeoutMs: number
  /** How long a client may take nothing of an answer that waits for it; 0 is for ever. */
  writeStallMs: number
  /** Requests that a client may send before it has the answer to the first of them. */
  maxPipelined: number
  /** Undefined: as many as come. */
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
 * Node's HTTP/1.1 server with bounds for slow, stalled and greedy clients. What is no HTTP at all, and so never becomes
 * a request, it answers by itself with a small JSON body and closes; `onRefused` hears why.
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
    // Judged with the other rules for requests, where the caller's dialect is known.
    requireHostHeader: false,
  })
  // Beyond a number Node would drop headers in silence. Their size bounds them, and the rules for requests count them.
  server.maxHeadersCount = 0
  if (limits.maxConnections !== undefined) server.maxConnections = limits.maxConnections
  const turns = new Turns(handler)
  const accept = (request: IncomingMessage, response: ServerResponse): void => {
    if (turns.add(request, response) <= limits.maxPipelined) return
    onRefused('PIPELINING')
    writeWaiting()
    request.socket.destroy()
  }
  server.on('request', accept)
  // Without these two Node would ask for a body, or refuse, before the request was looked at.
  server.on('checkContinue', accept)
  server.on('checkExpectation', accept)
  server.on('drop', () => onRefused('MAX_CONNECTIONS'))
  refuseUnreadable(server, turns, onRefused)
  // The same event ends idle kept-alive connections, once someone listens for it.
  server.on('timeout', (socket) => {
    if (turns.isIdle(socket) || socket.writableLength > 0) socket.destroy()
  })
  if (limits.writeStallMs > 0) watchWrites(server, limits.writeStallMs, (socket) => turns.isIdle(socket))
  return server
}

/** A third of the files that the process may open: each client may need an upstream socket, and logs need some. */
export function connectionLimit(): number | undefined {
  try {
    const files = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return files === undefined ? undefined : Math.max(1, Math.floor(Number(files) / 3))
  } catch {
    return undefined // not Linux
  }
}

/** What Node makes no request of. */
function refuseUnreadable(server: Server, turns: Turns, onRefused: (code: string) => void): void {
  server.on('connect', (_request, socket) => {
    onRefused('CONNECT')
    refuse(socket, 405)
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const code = error.code ?? error.name
    // RFC 9112, section 9.6: what follows a request with `Connection: close` is nobody's. Its answer ends the connection.
    if (code === 'HPE_CLOSED_CONNECTION') return
    // It has its last answer, and leaves in the middle of its body or sends nonsense there.
    if (socket.writableEnded) {
      socket.destroy()
      return
    }
    if (code !== 'ECONNRESET') onRefused(code)
    // What was answered before this is the client's.
    writeWaiting()
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
 * Handles the requests of a connection one after the other. Node would hand over those that follow in the same packet at
 * once, also behind an answer that closes the connection, after which none may be handled: RFC 9112, section 9.6.
 */
class Turns {
  readonly #handler: RequestListener
  /** The first one is being answered. */
  readonly #ofSocket = new WeakMap<Duplex, Turn[]>()
  /** What is to be said behind the answers that are due. */
  readonly #refusals = new WeakMap<Duplex, () => void>()

  constructor(handler: RequestListener) {
    this.#handler = handler
  }

  /** Gives the number of requests without a whole answer, this one included. */
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
   * Refuses what comes on this connection now, once the requests before it have their answers. An answer that has begun
   * must not be followed by another one; only for a client that is slow it goes on.
   */
  refuseNext(socket: Duplex, { isSlow }: { isSlow: boolean }, refuse: () => void): void {
    if (this.#refusals.has(socket)) return
    const turns = this.#ofSocket.get(socket) ?? []
    const [running] = turns
    // The last one is what cannot be read, if its body has not ended; no handler has seen it unless it is the first.
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
    // The answer before this one was the last.
    if (socket.writableEnded || socket.destroyed) return
    response.on('close', () => {
      hearOut(request)
      turns.shift()
      if (turns.length > 0) this.#next(turns)
      else if (socket.writable) this.#refusals.get(socket)?.()
    })
    this.#handler(request, response)
  }
}

/** llhttp's names for what it could not read, https://github.com/nodejs/llhttp (`src/llhttp/constants.ts`). */
function statusOf(error: NodeJS.ErrnoException): number {
  // A bare LF behind the version.
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

/** No dialect can be told here; the form is OpenAI's, which most clients read. */
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

/** For how long a client may go on sending behind its last answer, in milliseconds. */
const hearOutMs = 5_000

/**
 * For the end of an answer: hears out a client that still sends the body of its request when the answer has ended the
 * connection. Node would close at once, and the system then meets what still comes with a reset, which costs a client that
 * reads after it has sent its answer: it sees a broken pipe and not why its body was refused. RFC 9112, section 9.6.
 */
function hearOut(request: IncomingMessage): void {
  const { socket, complete } = request
  if (complete || !socket.writableEnded || socket.destroyed) return
  // From `destroySoon`, by which Node closes behind the last answer.
  socket.off('finish', socket.destroy)
  const timer = setTimeout(() => socket.destroy(), hearOutMs).unref()
  socket.once('close', () => clearTimeout(timer))
  request.once('end', () => socket.destroySoon())
  request.resume()
}

/** How often sockets are looked at, as a part of the limit. */
const lookShare = 1 / 4

/**
 * Gives sockets whose peer does not take what was written a timeout of `limitMs` without progress; Node then tells the server
 * by `timeout`. Only those: a timer of each socket would be set back with every write. `isIdle`: whether a socket is between
 * two requests, where its timeout is that of the kept-alive connection.
 */
function watchWrites(server: Server, limitMs: number, isIdle: (socket: Socket) => boolean): void {
  const sockets = new Set<Socket>()
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    for (const socket of sockets) {
      const waits = socket.writableLength > 0
      if (waits && socket.timeout !== limitMs) socket.setTimeout(limitMs)
      else if (!waits && socket.timeout === limitMs && !isIdle(socket)) socket.setTimeout(0)
    }
  }
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    timer ??= setInterval(look, limitMs * lookShare)
  })
  server.on('close', () => {
    clearInterval(timer)
    timer = undefined
  })
}
