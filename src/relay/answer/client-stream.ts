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
  reset(): void
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
  /** Writes to the socket directly: everything except the head and what is sent together with it. */
  #out: Writable
  /** Chunks of this turn of the event loop. */
  #chunks: Buffer[] = []
  #bytes = 0

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
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
    this.#options.onWrite(chunk.length)
    const socket = this.#socket
    if (!socket) return this.#response.write(chunk)
    // An empty chunk would end the body.
    if (chunk.length === 0) return !socket.writableNeedDrain
    if (chunk.length > maxJoinedBytes) return this.#writeLarge(chunk)
    if (this.#chunks.push(chunk) === 1) deferWrite(() => this.#flush())
    this.#bytes += chunk.length
    if (this.#bytes > maxJoinedBytes) this.#flush()
    return !socket.writableNeedDrain
  }

  onDrain(resume: () => void): void {
    const out = this.#socket ?? this.#response
    out.once('drain', resume)
  }

  end(): void {
    if (this.#response.destroyed) return
    if (!this.#socket) {
      this.#response.end()
      return
    }
    // Until the end of the response.
    this.#socket.cork()
    this.#flush()
    this.#response.end(lastFrame, 'latin1')
  }

  reset(): void {
    // Data already written belongs to the client.
    this.#flush()
    this.#socket?.uncork()
    this.#response.destroy()
  }

  /** Sends the chunks of this turn of the event loop. */
  #flush(): void {
    if (this.#bytes === 0 || this.#response.destroyed) return
    const frames = framed(this.#chunks, this.#bytes)
    this.#chunks = []
    this.#bytes = 0
    this.#takeOut().write(frames)
  }

  #writeLarge(chunk: Buffer): boolean {
    this.#flush()
    const out = this.#takeOut()
    out.cork()
    out.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
    out.write(chunk)
    const flows = out.write('\r\n', 'latin1')
    out.uncork()
    return flows
  }

  #takeOut(): Writable {
    const out = this.#out
    this.#out = this.#socket ?? out
    return out
  }

  /**
   * Node writes each chunk in four pieces; writing all chunks of a turn in one costs much less. Not for HTTP/1.0, which has
   * no chunked coding, nor for a response without a socket, such as that of an injected request.
   */
  #takeOverFraming(): void {
    const { socket, chunkedEncoding } = this.#response
    if (!chunkedEncoding || !(socket instanceof Socket)) return
    this.#socket = socket
    this.#response.chunkedEncoding = false
  }
}

/** Bytes around a chunk of at most {@link maxJoinedBytes}: its length in hexadecimal digits, and two line ends. */
const maxFrameBytes = 8

/** The chunks with their framing, in one buffer. `bytes`: sum of their lengths. */
function framed(chunks: readonly Buffer[], bytes: number): Buffer {
  const frames = Buffer.allocUnsafe(bytes + chunks.length * maxFrameBytes)
  let at = 0
  for (const chunk of chunks) {
    at += frames.write(`${chunk.length.toString(16)}\r\n`, at, 'latin1')
    at += chunk.copy(frames, at)
    at += frames.write('\r\n', at, 'latin1')
  }
  return frames.subarray(0, at)
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
    reset: () => stream.reset(),
  }
  return pipe
}
