import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'

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
  /** Whether the frames of the chunked coding (RFC 9112, section 7.1) are made here. */
  #framed = false

  constructor(response: ServerResponse, options: ClientStreamOptions) {
    this.#response = response
    this.#options = options
  }

  commit(): void {
    this.committed = true
    this.#options.onCommit()
    this.#response.writeHead(200, {
      ...this.#options.headers(),
      'content-type': this.#options.mediaType,
      'cache-control': 'no-cache',
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
    if (!this.#framed) return this.#response.write(bytes)
    // An empty frame would be the last one.
    if (length === 0) return !this.#response.writableNeedDrain
    if (typeof bytes !== 'string') return this.#writeFrame(bytes)
    // What is ASCII needs no more looking at.
    const encoding = length === bytes.length ? 'latin1' : 'utf8'
    return this.#response.write(`${length.toString(16)}\r\n${bytes}\r\n`, encoding)
  }

  onDrain(resume: () => void): void {
    this.#response.once('drain', resume)
  }

  end(): void {
    if (this.#response.destroyed) return
    if (this.#framed) this.#response.end(lastFrame, 'latin1')
    else this.#response.end()
  }

  breakOff(): void {
    this.#response.destroy()
  }

  /**
   * Node sends each frame in four pieces; made here it is one, and costs a third less. Not for
   * HTTP/1.0, which has no frames, nor for a response without a socket of its own, as that of a simulated request.
   */
  #takeOverFraming(): void {
    this.#framed = this.#response.chunkedEncoding && this.#response.socket instanceof Socket
    if (this.#framed) this.#response.chunkedEncoding = false
  }

  #writeFrame(bytes: Buffer): boolean {
    const head = `${bytes.length.toString(16)}\r\n`
    if (bytes.length > maxJoinedBytes) {
      this.#response.write(head, 'latin1')
      this.#response.write(bytes)
      return this.#response.write('\r\n', 'latin1')
    }
    const frame = Buffer.allocUnsafe(head.length + bytes.length + 2)
    frame.write(head, 'latin1')
    bytes.copy(frame, head.length)
    frame[frame.length - 2] = 0x0d
    frame[frame.length - 1] = 0x0a
    return this.#response.write(frame)
  }
}
