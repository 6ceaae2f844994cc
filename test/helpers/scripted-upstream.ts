import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TlsOptions } from 'node:tls'
import { post } from './http.ts'
import type { Behaviour, RecordedRequest, Script } from './upstream-script.ts'

export * from './upstream-answers.ts'
export type * from './upstream-script.ts'

export interface ScriptedUpstream {
  /** `http://127.0.0.1:port`, or `https://localhost:port` */
  readonly url: string
  readonly requests: readonly RecordedRequest[]
  /** Requests that have arrived completely and whose connection or response is not finished. */
  readonly openRequests: number
  /** Fulfilled when the request with this index (from 0) has arrived completely. */
  requestReceived(index: number): Promise<RecordedRequest>
  /** Fulfilled when the response to the request with this index (from 0) is over, whichever side ended it. */
  requestClosed(index: number): Promise<void>
  /** Replaces the script for future requests; a list starts at its beginning. */
  rescript(script: Script): void
  /** Accepts no more connections; open ones stay. */
  refuseConnections(): void
  /** Ends every connection. Rejects if the script itself failed, so that no such error stays hidden. */
  close(): Promise<void>
}

export interface UpstreamOptions {
  /** TLS options such as key and certificate. */
  tls?: TlsOptions
  /** A port known before, such as that of a server that has stopped; by default any free one. */
  port?: number
}

/** A real HTTP server that sends scripted responses, valid or broken. */
export async function startUpstream(
  script: Script,
  { tls, port = 0 }: UpstreamOptions = {},
): Promise<ScriptedUpstream> {
  const requests: RecordedRequest[] = []
  const received = new Milestones<RecordedRequest>()
  const closed = new Milestones<void>()
  let choose = chooser(script)
  let openRequests = 0
  let failure: { error: unknown } | undefined

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    handle(request, response).catch((error: unknown) => {
      failure ??= { error }
      response.destroy()
    })
  }
  const server = tls ? createSecureServer(tls, onRequest) : createServer(onRequest)
  // Connections in a TLS handshake are not HTTP connections yet.
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const record = await recordOf(request)
    if (!record) return
    const index = requests.push(record) - 1
    openRequests++
    response.once('close', () => {
      openRequests--
      closed.reach(index)
    })
    received.reach(index, record)
    await answer(await choose(record, index), response, record)
  }

  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${portOf(server.address())}`,
    requests,
    get openRequests() {
      return openRequests
    },
    requestReceived: (index) => received.wait(index),
    requestClosed: (index) => closed.wait(index),
    rescript(next) {
      choose = chooser(next, requests.length)
    },
    refuseConnections() {
      server.close()
    },
    async close() {
      const gone = server.listening ? once(server, 'close') : undefined
      server.close()
      for (const socket of sockets) socket.destroy()
      await gone
      if (failure) throw failure.error
    },
  }
}

/** Promises for numbered events, requested before or after they happen. */
class Milestones<T> {
  readonly #all = new Map<number, PromiseWithResolvers<T>>()

  reach(index: number, value: T): void {
    this.#of(index).resolve(value)
  }

  wait(index: number): Promise<T> {
    return this.#of(index).promise
  }

  #of(index: number): PromiseWithResolvers<T> {
    const known = this.#all.get(index)
    if (known) return known
    const made = Promise.withResolvers<T>()
    this.#all.set(index, made)
    return made
  }
}

function chooser(
  script: Script,
  from = 0,
): (request: RecordedRequest, index: number) => Behaviour | Promise<Behaviour> {
  if (typeof script === 'function') return script
  const list: readonly Behaviour[] = 'kind' in script ? [script] : script
  return (_request, index) => {
    const behaviour = list[Math.min(index - from, list.length - 1)]
    if (!behaviour) throw new Error('the script has no behaviour')
    return behaviour
  }
}

/** Undefined if the client disconnected before its body was complete. */
async function recordOf(request: IncomingMessage): Promise<RecordedRequest | undefined> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of request) pieces.push(piece)
  } catch {
    return undefined
  }
  const raw = Buffer.concat(pieces)
  const { method = '', url = '', headers } = request
  let parsed: { body: unknown } | undefined
  return {
    method,
    url,
    headers,
    raw,
    sentBytes: 0,
    // Most tests with large bodies never look into them.
    get body() {
      parsed ??= { body: parse(raw) }
      return parsed.body
    },
  }
}

async function answer(
  behaviour: Behaviour,
  response: ServerResponse,
  record: RecordedRequest,
): Promise<void> {
  switch (behaviour.kind) {
    case 'hang':
      return
    case 'reset':
      response.socket?.resetAndDestroy()
      return
    case 'raw':
      response.socket?.write(behaviour.bytes)
      response.socket?.destroySoon()
      return
    case 'reply': {
      const bytes = bytesOf(behaviour.body)
      record.sentBytes = bytes.length
      response.writeHead(behaviour.status ?? 200, {
        'content-type': 'application/json',
        ...behaviour.headers,
      })
      response.end(bytes)
      return
    }
    case 'stream':
      await stream(behaviour, response, record)
  }
}

async function stream(
  { status, headers, pieces, ending }: Extract<Behaviour, { kind: 'stream' }>,
  response: ServerResponse,
  record: RecordedRequest,
): Promise<void> {
  response.writeHead(status ?? 200, { 'content-type': 'text/event-stream', ...headers })
  response.flushHeaders()
  const gone = once(response, 'close')
  for await (const piece of pieces) {
    if (response.destroyed) return
    if (typeof piece !== 'string' && !(piece instanceof Uint8Array)) continue
    record.sentBytes += Buffer.byteLength(piece)
    // Each piece in its own packet, as far as the system allows; Node joins what is written in one event loop iteration.
    const written = new Promise<boolean>((resolve) => response.write(piece, (error) => resolve(!error)))
    // A socket reports an error immediately and closes in a later iteration, for which an endless script must yield.
    if (!(await Promise.race([written, gone]))) await gone
  }
  if (ending === 'hang') return
  if (ending === 'reset') response.socket?.resetAndDestroy()
  else if (ending === 'cut') response.socket?.destroySoon()
  else response.end()
}

function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

function parse(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString('utf8'))
  } catch {
    return undefined // not JSON; the test sees it in `raw`
  }
}

function portOf(address: string | AddressInfo | null): number {
  if (typeof address !== 'object' || address === null) throw new Error('the server is not listening')
  return address.port
}

/** A request as its upstream received it, and the client's answer. */
export interface Relayed {
  path: string
  body: Record<string, unknown>
  /** The text of the body. */
  json: string
  /** The fields that were not sent. */
  lost: string
  answer: string
}

/** Sends a request through a router to this upstream. */
export async function relayed(
  url: string,
  upstream: ScriptedUpstream,
  path: string,
  body: object | string,
): Promise<Relayed> {
  const answer = await post(`${url}${path}`, body)
  const request = upstream.requests.at(-1)
  return {
    path: request?.url ?? '',
    body: Object(request?.body),
    json: request?.raw.toString() ?? '',
    lost: answer.headers.get('x-llm-router-lost') ?? '',
    answer: answer.text,
  }
}
