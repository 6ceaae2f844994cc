import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  status: number
  /** Lower-case names; of repeated headers the last one. */
  headers: Readonly<Record<string, string>>
  body: string
}

/** A raw connection: writes exactly the given bytes, and reads the responses one by one. */
export class RawClient {
  readonly socket: Socket
  readonly #closed: Promise<void>
  #isClosed = false
  #received: Buffer = Buffer.alloc(0)
  #onBytes: (() => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes])
      this.#onBytes?.()
    })
    // A reset is one of the ways in which a server ends a connection.
    socket.on('error', () => undefined)
    this.#closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true
        this.#onBytes?.()
        resolve()
      })
    })
  }

  static async open(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** The next response, including 1xx. Rejects if the server closes before it is complete. */
  async answer(): Promise<RawAnswer> {
    for (;;) {
      const read = takeAnswer(this.#received)
      if (read) {
        this.#received = read.rest
        return read.answer
      }
      if (this.#isClosed) throw new Error(`closed after ${JSON.stringify(this.#received.toString('latin1'))}`)
      await new Promise<void>((resolve) => {
        this.#onBytes = resolve
      })
    }
  }

  /** Everything received and not yet read, once the server has closed the connection. */
  async rest(): Promise<string> {
    await this.#closed
    return this.#received.toString('latin1')
  }

  close(): void {
    this.socket.destroy()
  }
}

/** One request on its own connection. `closed`: the server closed it after its response. */
export async function sendRaw(
  url: string,
  bytes: string | Uint8Array,
): Promise<RawAnswer & { closed: boolean }> {
  const client = await RawClient.open(url)
  try {
    client.send(bytes)
    const answer = await client.answer()
    const closed = answer.headers.connection === 'close' && (await client.rest()) === ''
    return { ...answer, closed }
  } finally {
    client.close()
  }
}

/** A POST of JSON as a client writes it; `lines` are additional header lines. */
export function postBytes(path: string, body: string | object, lines: readonly string[] = []): string {
  const text = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)).toString('latin1')
  const head = [`POST ${path} HTTP/1.1`, 'host: router', 'content-type: application/json', ...lines]
  return `${head.join('\r\n')}\r\ncontent-length: ${text.length}\r\n\r\n${text}`
}

function takeAnswer(bytes: Buffer): { answer: RawAnswer; rest: Buffer } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
  const status = Number(statusLine.split(' ')[1])
  const body = takeBody(bytes.subarray(headEnd + 4), headers)
  if (!body) return undefined
  return { answer: { status, headers, body: body.text }, rest: body.rest }
}

function takeBody(
  bytes: Buffer,
  headers: Record<string, string>,
): { text: string; rest: Buffer } | undefined {
  if (headers['transfer-encoding'] !== 'chunked') {
    const length = Number(headers['content-length'] ?? 0)
    if (bytes.length < length) return undefined
    return { text: bytes.toString('utf8', 0, length), rest: bytes.subarray(length) }
  }
  const chunks: Buffer[] = []
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const length = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    at = lineEnd + 2 + length + 2
    if (bytes.length < at) return undefined
    if (length === 0) return { text: Buffer.concat(chunks).toString('utf8'), rest: bytes.subarray(at) }
    chunks.push(bytes.subarray(lineEnd + 2, at - 2))
  }
}
