import { once } from 'node:events'
import { createServer } from 'node:https'
import type { Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'

export interface TlsUpstream {
  /** `https://localhost:port` */
  readonly url: string
  readonly port: number
  /** Paths of the requests so far. */
  readonly requests: readonly string[]
  /** Connections so far whose handshake succeeded. */
  readonly handshakes: number
  close(): Promise<void>
}

/** An OpenAI-like server behind TLS. */
export async function startTlsUpstream(options: TlsOptions): Promise<TlsUpstream> {
  const requests: string[] = []
  let handshakes = 0
  const server = createServer(options, (request, response) => {
    requests.push(request.url ?? '')
    request.resume().once('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const message = { role: 'assistant', content: 'Hi' }
      const list = { object: 'list', data: [{ id: 'm', owned_by: 'vllm', max_model_len: 1024 }] }
      const choices = [{ index: 0, message, finish_reason: 'stop' }]
      response.end(
        JSON.stringify(request.method === 'GET' ? list : { id: '1', object: 'chat.completion', choices }),
      )
    })
  })
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('secureConnection', () => handshakes++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `https://localhost:${port}`,
    port,
    requests,
    get handshakes() {
      return handshakes
    },
    async close() {
      const gone = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await gone
    },
  }
}
