import { once } from 'node:events'
import { createServer, request } from 'node:http'

export interface PathProxy {
  /** The address at which the router is published, such as `http://127.0.0.1:port/llm`. */
  readonly url: string
  /** Requests for paths outside the published one, which would go to another service on that host name. */
  readonly strays: readonly string[]
  close(): Promise<void>
}

/**
 * A reverse proxy that publishes the router below a path, as an Ingress does: with `removed` it sends `/llm/ui` as `/ui`,
 * otherwise unchanged.
 */
export async function startPathProxy(
  upstream: string,
  { path, removed }: { path: string; removed: boolean },
): Promise<PathProxy> {
  const strays: string[] = []
  const server = createServer((incoming, outgoing) => {
    const { url = '', method, headers } = incoming
    if (url !== path && !url.startsWith(`${path}/`) && !url.startsWith(`${path}?`)) {
      strays.push(url)
      outgoing.writeHead(404).end()
      return
    }
    const rest = url.slice(path.length)
    const target = removed ? (rest.startsWith('/') ? rest : `/${rest}`) : url
    const { hostname, port } = new URL(upstream)
    const forwarded = request({ hostname, port, method, headers, path: target, agent: false }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(outgoing)
    })
    forwarded.on('error', () => outgoing.destroy())
    outgoing.on('close', () => forwarded.destroy())
    incoming.pipe(forwarded)
  })
  // Clients receive the router's keep-alive header: closing earlier would reset their next request.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}${path}`,
    strays,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
