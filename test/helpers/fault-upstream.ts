import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

/** How a connection ends; without one it stays open for the next request. */
export const fin = Symbol('FIN')
export const rst = Symbol('RST')
/** The connection stays open, and further requests on it are not answered. */
export const hang = Symbol('hang')

/** Bytes to write unchanged, a promise to await, or the end of the connection. */
export type Step = string | Uint8Array | Promise<unknown> | typeof fin | typeof rst | typeof hang

export interface RawRequest {
  /** Request line and headers. */
  head: string
  body: Buffer
  /** Index of its connection, and of the request on that connection, from 0. */
  connection: number
  turn: number
}

export type FaultScript = (request: RawRequest, index: number) => Iterable<Step> | AsyncIterable<Step>

export interface FaultUpstream {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly requests: readonly RawRequest[]
  readonly connections: number
  /** Connections whose request has arrived completely and whose script has not ended, or that hang. */
  readonly busy: number
  /** Bytes of the scripts that the sockets have accepted. */
  readonly sentBytes: number
  /** Fulfilled when no connection is busy. */
  idle(): Promise<void>
  close(): Promise<void>
}

export interface FaultOptions {
  /** Called as soon as the head has arrived: the body is neither awaited nor read. */
  early?: boolean
}

/** A server that sends arbitrary bytes over plain TCP, so that no HTTP library can correct them. */
export async function startFaultUpstream(
  script: FaultScript,
  { early = false }: FaultOptions = {},
): Promise<FaultUpstream> {
  const requests: RawRequest[] = []
  const sockets = new Set<Socket>()
  const busy = new Set<Socket>()
  let connections = 0
  let sentBytes = 0
  const changed = new EventTarget()
  const setBusy = (socket: Socket, value: boolean): void => {
    if (value) busy.add(socket)
    else busy.delete(socket)
    changed.dispatchEvent(new Event('change'))
  }
  const server = createServer((socket) => {
    const connection = connections++
    sockets.add(socket)
    socket.on('error', () => undefined) // the peer may reset at any time
    socket.once('close', () => {
      sockets.delete(socket)
      setBusy(socket, false)
    })
    serve(socket, connection).catch(() => socket.destroy())
  })

  async function serve(socket: Socket, connection: number): Promise<void> {
    const reader = new RequestReader(socket, early)
    for (let turn = 0; ; turn++) {
      const read = await reader.next()
      if (!read) return
      setBusy(socket, true)
      const request = { ...read, connection, turn }
      const staysOpen = await play(socket, script(request, requests.push(request) - 1))
      if (!staysOpen) return
      setBusy(socket, false)
    }
  }

  async function play(socket: Socket, steps: Iterable<Step> | AsyncIterable<Step>): Promise<boolean> {
    for await (const step of steps) {
      if (socket.destroyed) return false
      if (step === hang) {
        // Without reading, the peer's close behind it is not noticed.
        if (!early) socket.resume()
        return false
      }
      if (step === rst) socket.resetAndDestroy()
      else if (step === fin) socket.destroySoon()
      if (step === rst || step === fin) return false
      if (typeof step !== 'string' && !(step instanceof Uint8Array)) continue
      sentBytes += Buffer.byteLength(step)
      if (!socket.write(step)) await firstOf(socket, ['drain', 'close'])
    }
    return !socket.destroyed
  }

  return {
    url: await listening(server),
    requests,
    get connections() {
      return connections
    },
    get busy() {
      return busy.size
    },
    get sentBytes() {
      return sentBytes
    },
    async idle() {
      while (busy.size > 0) await once(changed, 'change')
    },
    async close() {
      const gone = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await gone
    },
  }
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}` // it listens on TCP
}

/** Reads requests with a Content-Length from a connection, one after the other. */
class RequestReader {
  readonly #socket: Socket
  readonly #early: boolean
  #received: Buffer[] = []

  constructor(socket: Socket, early: boolean) {
    this.#socket = socket
    this.#early = early
  }

  /** Undefined if the client has closed. */
  async next(): Promise<{ head: string; body: Buffer } | undefined> {
    for (;;) {
      const bytes = Buffer.concat(this.#received)
      const headEnd = bytes.indexOf('\r\n\r\n')
      if (headEnd !== -1) {
        const head = bytes.toString('latin1', 0, headEnd)
        const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
        if (this.#early) return { head, body: Buffer.alloc(0) }
        if (bytes.length >= headEnd + 4 + length) {
          this.#received = [bytes.subarray(headEnd + 4 + length)]
          return { head, body: bytes.subarray(headEnd + 4, headEnd + 4 + length) }
        }
      }
      const chunk = await nextChunk(this.#socket)
      if (!chunk) return undefined
      this.#received = [bytes, chunk]
    }
  }
}

async function nextChunk(socket: Socket): Promise<Buffer | undefined> {
  for (;;) {
    const chunk: Buffer | null = socket.read()
    if (chunk) return chunk
    if (socket.destroyed || socket.readableEnded) return undefined
    await firstOf(socket, ['readable', 'end', 'close'])
  }
}

/** Unlike `once` of node:events it does not reject when the connection fails: that also ends in a close event. */
function firstOf(socket: Socket, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of events) socket.off(event, done)
      resolve()
    }
    for (const event of events) socket.on(event, done)
  })
}

/** A complete HTTP response with these bytes as its body; `lines` are header lines after the status line. */
export function answerBytes(
  body: string | Uint8Array,
  lines: readonly string[] = ['content-type: application/json'],
): Buffer {
  const bytes = Buffer.from(body)
  return Buffer.concat([head([...lines, `content-length: ${bytes.length}`]), bytes])
}

/** A status line and header lines. */
export function head(lines: readonly string[], status = 'HTTP/1.1 200 OK'): Buffer {
  return Buffer.from(`${[status, ...lines].join('\r\n')}\r\n\r\n`)
}

/** One chunk of the chunked transfer coding (RFC 9112, section 7.1); without bytes, the last chunk. */
export function chunk(bytes?: string | Uint8Array): Buffer {
  if (bytes === undefined) return Buffer.from('0\r\n\r\n')
  const piece = Buffer.from(bytes)
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
}

export const streamHead = head(['content-type: text/event-stream', 'transfer-encoding: chunked'])
