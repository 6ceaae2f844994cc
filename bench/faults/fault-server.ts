import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

/** What a server does with one request after reading it completely. */
export type Act = (socket: Socket, request: AskedFor) => void

export interface AskedFor {
  /** Whether the client requests a stream. */
  stream: boolean
  /** Earlier requests on this connection. */
  before: number
}

export interface FaultServer {
  readonly port: number
  /** Requests other than health checks. */
  readonly requests: number
  /** Fulfilled with the connection of the next request after reading it. */
  next(): Promise<Socket>
  close(): Promise<void>
}

const health = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}'

/**
 * A server on a raw socket, on a free port of 127.0.0.1. Its health checks always succeed: a server that answers checks but no
 * requests is the harder case.
 */
export async function startFaultServer(act: Act): Promise<FaultServer> {
  const sockets = new Set<Socket>()
  let requests = 0
  let announce = Promise.withResolvers<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => undefined) // the peer may end the connection with a reset
    let before = 0
    onRequest(socket, (method, body) => {
      if (method !== 'POST') {
        socket.write(health)
        return
      }
      requests++
      announce.resolve(socket)
      announce = Promise.withResolvers()
      act(socket, { stream: /"stream":\s*true/.test(body), before: before++ })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port')
  return {
    port: address.port,
    get requests() {
      return requests
    },
    next: () => announce.promise,
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

/** Calls back for each request whose body, as given by Content-Length, is complete. */
function onRequest(socket: Socket, take: (method: string, body: string) => void): void {
  let received = ''
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    received += text
    for (;;) {
      const headEnd = received.indexOf('\r\n\r\n')
      if (headEnd === -1) return
      const head = received.slice(0, headEnd)
      const bodyEnd = headEnd + 4 + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
      if (received.length < bodyEnd) return
      const body = received.slice(headEnd + 4, bodyEnd)
      received = received.slice(bodyEnd)
      take(head.slice(0, head.indexOf(' ')), body)
    }
  })
}
