import type { ServerResponse } from 'node:http'
import type { UpstreamHeaders } from '../../sdk/transport.ts'
import { type ClientStream, createClientStream } from './client-stream.ts'

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
