import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface RawAnswer {
  status: number
  headers: Headers
  text: string
}

/** A POST of exactly these bytes. */
export async function post(
  url: string,
  body: unknown,
  headers: Record<string, string> = { 'content-type': 'application/json' },
): Promise<RawAnswer> {
  const bytes =
    body instanceof Uint8Array ? new Uint8Array(body) : typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(url, { method: 'POST', headers, body: bytes })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

/** A raw connection with a request written to it, for clients that disconnect or read slowly. */
export async function openRequest(
  url: string,
  path: string,
  body: unknown,
  id = 'open',
  headers: readonly string[] = [],
): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  const bytes = JSON.stringify(body)
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\nx-request-id: ${id}\r\ncontent-type: application/json\r\n${headers.map((line) => `${line}\r\n`).join('')}content-length: ${Buffer.byteLength(bytes)}\r\n\r\n${bytes}`,
  )
  return socket
}

const portsPerProcess = 100
let portsTaken = 0

/**
 * A port on which no process listens. It is below those that systems assign by themselves, and from a range of this process:
 * otherwise, a connection or a server of another test could get it before the router that is told to listen there, or where a
 * test expects nobody.
 */
export async function freePort(): Promise<number> {
  const first = 11_000 + (process.pid % 190) * portsPerProcess
  for (;;) {
    const port = first + (portsTaken++ % portsPerProcess)
    if (await canListen(port)) return port
  }
}

/** An address on which no process listens. */
export async function closedPort(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
