import type { ServerResponse } from 'node:http'

/** The client's end of a streamed answer: nothing is sent before `commit`, and its pace is the upstream's pace. */
export interface ClientStream {
  readonly committed: boolean
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

export function createClientStream(
  response: ServerResponse,
  options: {
    mediaType: string
    headers: () => Record<string, string>
    onCommit: () => void
    onWrite: (bytes: number) => void
  },
): ClientStream {
  let committed = false
  return {
    get committed() {
      return committed
    },
    commit() {
      committed = true
      options.onCommit()
      response.writeHead(200, {
        ...options.headers(),
        'content-type': options.mediaType,
        'cache-control': 'no-cache',
        // nginx would otherwise collect the stream before it passes it on.
        'x-accel-buffering': 'no',
      })
      // Without this, small first events would wait for Nagle's algorithm.
      response.socket?.setNoDelay(true)
    },
    // A client that has left takes nothing more; its exchange ends by the close of the response.
    write: (bytes) => {
      if (response.destroyed) return true
      options.onWrite(Buffer.byteLength(bytes))
      return response.write(bytes)
    },
    onDrain: (resume) => {
      response.once('drain', resume)
    },
    end: () => {
      if (!response.destroyed) response.end()
    },
    breakOff: () => response.destroy(),
  }
}
