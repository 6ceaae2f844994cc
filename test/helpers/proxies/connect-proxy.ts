import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type Socket } from 'node:net'

export interface ConnectProxy {
  /** `http://127.0.0.1:port`, or `https://localhost:port` */
  readonly url: string
  readonly port: number
  /** The tunnels requested so far: `host:port`, with the value of `proxy-authorization`. */
  readonly tunnels: readonly { to: string; authorization: string | undefined }[]
  /** Requests with a method other than CONNECT. */
  readonly others: number
  close(): Promise<void>
}

export interface ConnectProxyOptions {
  /** The required `name:password`; absent: no authentication. */
  credentials?: string
  /** The response sent in place of a tunnel. */
  refuses?: string
  /** Destination of all tunnels, for host names that do not exist; by default the requested one. */
  leadsTo?: number
  /** Use TLS to the proxy itself. */
  tls?: { key: string; cert: string }
}

/** A real HTTP proxy that supports only CONNECT. */
export async function startConnectProxy(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const tunnels: { to: string; authorization: string | undefined }[] = []
  const sockets = new Set<Socket>()
  let others = 0
  const server: Server = options.tls ? createTlsServer(options.tls) : createServer()
  server.on('request', (_request, response) => {
    others++
    response.writeHead(400).end()
  })
  server.on('connection', (socket: Socket) => keep(socket))
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
  }
  server.on('connect', (request: IncomingMessage, client: Socket) => {
    const { url = '', headers } = request
    keep(client)
    tunnels.push({ to: url, authorization: headers['proxy-authorization'] })
    const wanted = options.credentials && `Basic ${Buffer.from(options.credentials).toString('base64')}`
    if (wanted !== undefined && headers['proxy-authorization'] !== wanted) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n')
      return
    }
    if (options.refuses !== undefined) {
      client.end(options.refuses)
      return
    }
    const { hostname, port } = new URL(`http://${url}`)
    const upstream = options.leadsTo ? connect(options.leadsTo, '127.0.0.1') : connect(Number(port), hostname)
    keep(upstream)
    let isOpen = false
    upstream.once('connect', () => {
      isOpen = true
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      client.pipe(upstream).pipe(client)
    })
    upstream.once('error', () => {
      if (!isOpen) client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    })
    client.once('close', () => upstream.destroy())
    upstream.once('close', () => {
      if (isOpen) client.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: options.tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`,
    port,
    tunnels,
    get others() {
      return others
    },
    async close() {
      const gone = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await gone
    },
  }
}
