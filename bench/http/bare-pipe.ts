import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent } from 'undici'

/**
 * The baseline of all measurements: `node:http` in, undici out, bytes forwarded unchanged, nothing else. One listener for each
 * upstream port named on the command line; prints the ports of the listeners, in this order.
 */
const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 })

const ports: number[] = []
for (const upstream of process.argv.slice(2)) {
  const origin = `http://127.0.0.1:${upstream}`
  const server = createServer((request, response) => pipe(origin, request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address === 'object' && address) ports.push(address.port)
}
console.log(`ports ${JSON.stringify(ports)}`)

function pipe(origin: string, request: IncomingMessage, response: ServerResponse): void {
  const { method, url: path = '/', headers } = request
  agent.dispatch(
    {
      origin,
      path,
      method: method === 'POST' ? 'POST' : 'GET',
      headers: kept(headers),
      body: request,
    },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, answered) {
        response.writeHead(status, kept(answered))
        response.socket?.setNoDelay(true)
      },
      onResponseData(controller, chunk) {
        if (response.write(chunk)) return
        controller.pause()
        response.once('drain', () => controller.resume())
      },
      onResponseEnd() {
        response.end()
      },
      onResponseError(_controller, error) {
        console.error(error.message)
        response.destroy()
      },
    },
  )
}

/** The headers that describe a body. */
function kept(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const few: Record<string, string> = {}
  for (const name of ['content-type', 'content-length']) {
    const value = headers[name]
    if (typeof value === 'string') few[name] = value
  }
  return few
}
