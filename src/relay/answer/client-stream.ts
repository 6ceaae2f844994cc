import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { atTurnEnd } from '../../lib/turn-end.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { UpstreamHeaders } from '../../sdk/transport.ts'

/** The client's end of a streamed answer: nothing is sent before `commit`, and its pace is the upstream's pace. */
export interface ClientStream {
  committed: boolean
  /** Sends the status and the headers. */
  commit(): void
  /** False: the client reads slowly; wait for `onDrain` before the next write. */
  write(bytes: Buffer | string): boolean
  /** Calls back once, when the client has caught up. Never called when it leaves instead. */
  onDrain(resume: () => void): void
  end(): void
  /** Breaks the answer off, so that nobody takes what came for the whole. */
  breakOff(): void
  /**
   * Calls back when the client gets no more of the answer, with the error where that is a failure. `stop` says whether more of it
   * would have come. Absent: the client takes all.
   */
  onStop?(stop: (error?: RouterError) => boolean): void
  /** Forgets what was written and has not gone out: an error or another attempt follows. Absent: all has gone out. */
  discard?(): void
}

/** Where the answer to a chat goes. */
export interface ChatClient {
  stream(): ClientStream
  whole(body: Buffer | string): void
  /** For a whole answer that is too large for `whole`: its bytes as they come. */
  large(): ClientStream
  /** The in-band error of the client's dialect. */
  writeError(error: RouterError): string
}

/** Without trailers. */
const lastFrame = '0\r\n\r\n'
/** Above this, copying costs more than sending in pieces. */
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
  /** Set where the frames of the chunked coding (RFC 9112, section 7.1) are made here. */
  #socket: Socket | undefined
  /** What of the answer goes to the socket itself: all but the head and the first frame, which leave together. */
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
      // nginx would otherwise collect the stream before it passes it on.
      'x-accel-buffering': 'no',
    })
    this.#takeOverFraming()
    // Without this, small first events would wait for Nagle's algorithm.
    this.#response.socket?.setNoDelay(true)
  }

  /** A client that has left takes nothing more; its exchange ends by the close of the response. */
  write(bytes: Buffer | string): boolean {
    if (this.#response.destroyed) return true
    const length = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length
    this.#options.onWrite(length)
    if (!this.#socket) return this.#response.write(bytes)
    // An empty frame would be the last one.
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
    // What was written is the client's.
    this.#socket?.uncork()
    this.#response.destroy()
  }

  #holdToTurnEnd(socket: Socket): void {
    if (socket.writableCorked > 0) return
    socket.cork()
    atTurnEnd(() => socket.uncork())
  }

  /**
   * Node sends each frame in four pieces; made here it is one, and costs a third less. Not for HTTP/1.0, which has no
   * frames, nor for a response without a socket of its own, as that of a simulated request.
   */
  #takeOverFraming(): void {
    const { socket, chunkedEncoding } = this.#response
    if (!chunkedEncoding || !(socket instanceof Socket)) return
    this.#socket = socket
    this.#response.chunkedEncoding = false
  }
}

/** `length`: of the bytes, which are not empty. */
function writeFrame(out: Writable, bytes: Buffer | string, length: number): boolean {
  const head = `${length.toString(16)}\r\n`
  if (typeof bytes === 'string') {
    // What is ASCII needs no more looking at.
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

/** The client's end of an answer of any kind: the upstream's status, media type and bytes. */
export interface ClientPipe extends Omit<ClientStream, 'commit' | 'committed'> {
  committed: boolean
  /** Sends the status and the headers. */
  commit(status: number, headers: UpstreamHeaders): void
}

/** What describes the bytes; all other headers of the upstream are its own affair. */
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
