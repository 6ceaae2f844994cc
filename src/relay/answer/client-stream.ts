import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { deferWrite } from '../../lib/deferred-writes.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { UpstreamHeaders } from '../../sdk/transport.ts'

/** The client's side of a streamed response: sends nothing before `commit`, and applies backpressure to the upstream. */
export interface ClientStream {
  committed: boolean
  /** Sends the status and the headers. */
  commit(): void
  /** Returns false if the client reads slowly; wait for `onDrain` before the next write. */
  write(bytes: Buffer | string): boolean
  /** Calls back once, when the client has caught up; never if it disconnects. */
  onDrain(resume: () => void): void
  end(): void
  /** Resets the connection, so a partial response is not mistaken for a complete one. */
  breakOff(): void
  /**
   * Calls back when the client gets no more of the response, with the error if that is a failure. `stop`: whether more of it
   * would have followed. Absent: the client reads all of it.
   */
  onStop?(stop: (error?: RouterError) => boolean): void
  /** Discards what was written but not sent: an error or another attempt follows. Absent: everything has been sent. */
  discard?(): void
}

/** Destination of the response to a chat. */
export interface ChatClient {
  stream(): ClientStream
  whole(body: Buffer | string): void
  /** For a whole response that is too large for `whole`: forwards its bytes as they arrive. */
  large(): ClientStream
  /** The in-band error of the client's dialect. */
  writeError(error: RouterError): string
}

/** Without trailers. */
const lastFrame = '0\r\n\r\n'
/** Above this size, copying costs more than sending in pieces. */
const maxJoinedBytes = 16 * 1024

interface ClientStreamOptions {
  mediaType: string
  headers: () => Record<string, string>
  onCommit: () => void
  onWrite: (bytes: number) => void
}

export function createClientStream(response: ServerResponse, options: ClientStreamOptions): ClientStream {
  return new ResponseStream(response, options)
}

class ResponseStream implements ClientStream {
  committed = false
  readonly #response: ServerResponse
  readonly #options: ClientStreamOptions
  /** Set if this module writes the chunked coding itself (RFC 9112, section 7.1). */
  #socket: Socket | undefined
  /** Writes to the socket directly: everything except the head and the first chunk, which are sent together. */
  #out: Writable

  constructor(response: ServerResponse, options: ClientStreamOptions) {
    this.#response = response
    this.#options = options
    this.#out = response
  }

  commit(): void {
    this.committed = true
    this.#options.onCommit()
    this.#response.writeHead(200, {
      'cache-control': 'no-cache',
      ...this.#options.headers(),
      'content-type': this.#options.mediaType,
      // Without this, nginx would buffer the stream.
      'x-accel-buffering': 'no',
    })
    this.#takeOverFraming()
    // Without this, Nagle's algorithm would delay small first events.
    this.#response.socket?.setNoDelay(true)
  }

  /** Nothing is written to a client that has disconnected; the close of the response ends its exchange. */
  write(bytes: Buffer | string): boolean {
    if (this.#response.destroyed) return true
    const length = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length
    this.#options.onWrite(length)
    if (!this.#socket) return this.#response.write(bytes)
    // An empty chunk would end the body.
    if (length === 0) return !this.#socket.writableNeedDrain
    const out = this.#out
    this.#out = this.#socket
    this.#holdToTurnEnd(this.#socket)
    return writeFrame(out, bytes, length)
  }

  onDrain(resume: () => void): void {
    const out = this.#socket ?? this.#response
    out.once('drain', resume)
  }

  end(): void {
    if (this.#response.destroyed) return
    if (this.#socket) this.#response.end(lastFrame, 'latin1')
    else this.#response.end()
  }

  breakOff(): void {
    // Data already written belongs to the client.
    this.#socket?.uncork()
    this.#response.destroy()
  }

  #holdToTurnEnd(socket: Socket): void {
    if (socket.writableCorked > 0) return
    socket.cork()
    deferWrite(() => socket.uncork())
  }

  /**
   * Node writes each chunk in four pieces; writing it in one costs a third less. Not for HTTP/1.0, which has no
   * chunked coding, nor for a response without a socket, such as that of an injected request.
   */
  #takeOverFraming(): void {
    const { socket, chunkedEncoding } = this.#response
    if (!chunkedEncoding || !(socket instanceof Socket)) return
    this.#socket = socket
    this.#response.chunkedEncoding = false
  }
}

/** `length`: number of bytes, at least 1. */
function writeFrame(out: Writable, bytes: Buffer | string, length: number): boolean {
  const head = `${length.toString(16)}\r\n`
  if (typeof bytes === 'string') {
    // ASCII needs no further check.
    return out.write(`${head}${bytes}\r\n`, length === bytes.length ? 'latin1' : 'utf8')
  }
  if (length > maxJoinedBytes) {
    out.cork()
    out.write(head, 'latin1')
    out.write(bytes)
    const flows = out.write('\r\n', 'latin1')
    out.uncork()
    return flows
  }
  const frame = Buffer.allocUnsafe(head.length + length + 2)
  frame.write(head, 'latin1')
  bytes.copy(frame, head.length)
  frame[frame.length - 2] = 0x0d
  frame[frame.length - 1] = 0x0a
  return out.write(frame)
}

/** The client's side of a response of any kind: the upstream's status, media type and bytes. */
export interface ClientPipe extends Omit<ClientStream, 'commit' | 'committed'> {
  committed: boolean
  /** Sends the status and the headers. */
  commit(status: number, headers: UpstreamHeaders): void
}

/** Headers that describe the bytes; all other upstream headers are dropped. */
const described = ['content-type', 'content-length', 'content-disposition'] as const

export function createClientPipe(
  response: ServerResponse,
  options: {
    headers: () => Record<string, string>
    onCommit: () => void
    onWrite: (bytes: number) => void
  },
): ClientPipe {
  const stream = createClientStream(response, { ...options, mediaType: '' })
  const pipe: ClientPipe = {
    committed: false,
    commit(status, upstream) {
      pipe.committed = true
      options.onCommit()
      const headers = options.headers()
      for (const name of described) {
        const value = upstream[name]
        if (typeof value === 'string') headers[name] = value
      }
      response.writeHead(status, headers)
      response.socket?.setNoDelay(true)
    },
    write: (bytes) => stream.write(bytes),
    onDrain: (resume) => stream.onDrain(resume),
    end: () => stream.end(),
    breakOff: () => stream.breakOff(),
  }
  return pipe
}
