import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { type Marker, markerOf } from './marker.ts'
import { answerTo } from './upstream-answer.ts'

/** What a server may suffer from; `share` is the share of affected requests, by default all. */
export const ailments = [
  'dead', // nothing listens
  'frozen', // accepts connections and answers nothing, not even health checks
  'hung', // passes health checks and answers no request
  'half-broken', // 500 for four in ten
  'broken', // 500 for all
  'resetting', // RST for four in ten
  'cutting', // half of a body for four in ten
  'misconfigured', // 401 for all
  'limited', // 429 with a wait
] as const

export type Ailment = (typeof ailments)[number] | 'well'

/** What became of one request at one server. */
export interface Visit {
  server: string
  ailment: Ailment
  /** `silent`: its connection closed without a byte because the server died; `cut`: after content. */
  end: 'answered' | 'refused' | 'silent' | 'cut' | 'running'
}

export interface SickServerOptions {
  id: string
  random: () => number
  /** Reads images, to which others answer 500. */
  readsImages?: boolean
  /** Every visit of a request, by its marker. */
  visits: Map<string, Visit[]>
}

/** A plain HTTP model server that suffers from what it is set to, and dies of the requests that kill. */
export class SickServer {
  readonly id: string
  ailment: Ailment = 'well'
  url = ''
  /** Markers of the requests that killed it. */
  readonly killedBy: string[] = []
  readonly #options: SickServerOptions
  readonly #sockets = new Set<Socket>()
  readonly #running = new Map<ServerResponse, Visit>()
  #server: Server | undefined
  #port = 0
  #revival: NodeJS.Timeout | undefined

  constructor(options: SickServerOptions) {
    this.id = options.id
    this.#options = options
  }

  get listens(): boolean {
    return this.#server !== undefined
  }

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy())
    })
    server.keepAliveTimeout = 60_000
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => undefined) // the router may reset at any time
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
    this.#port = (server.address() as AddressInfo).port // it listens on TCP
    this.url = `http://127.0.0.1:${this.#port}`
    return this
  }

  async suffer(ailment: Ailment): Promise<void> {
    this.ailment = ailment
    if (ailment === 'dead') this.die()
    // Requests that it froze on stay unanswered.
    else if (!this.listens && this.#revival === undefined) await this.start()
  }

  /** The process is gone: connections close, and new ones are refused. Comes back after a time, if one is given. */
  die(reviveMs?: number): void {
    this.#server?.close()
    this.#server = undefined
    for (const visit of this.#running.values()) if (visit.end === 'running') visit.end = 'silent'
    this.#running.clear()
    for (const socket of this.#sockets) socket.destroy()
    if (reviveMs === undefined) return
    this.#revival = setTimeout(() => {
      this.#revival = undefined
      void this.start()
    }, reviveMs)
  }

  stop(): void {
    clearTimeout(this.#revival)
    this.die()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece)
    if (this.ailment === 'frozen') return
    if (request.method === 'GET') return this.#probe(request.url ?? '', response)
    const body = Buffer.concat(pieces).toString()
    const marker = markerOf(body)
    if (!marker) return reply(response, 400, { error: { message: 'no marker' } })
    const visit: Visit = { server: this.id, ailment: this.ailment, end: 'running' }
    const visits = this.#options.visits.get(marker.text) ?? []
    this.#options.visits.set(marker.text, [...visits, visit])
    this.#running.set(response, visit)
    response.once('close', () => {
      this.#running.delete(response)
      if (visit.end === 'running') visit.end = 'refused'
    })
    if (marker.kind === 'kill') {
      this.killedBy.push(marker.text)
      this.die(1_500)
      return
    }
    if (marker.kind === 'all-reset') {
      response.socket?.resetAndDestroy()
      return
    }
    if (this.#isSick(response)) return
    await this.#answer(request.url ?? '', body, marker, visit, response)
  }

  #probe(path: string, response: ServerResponse): void {
    const answers: Record<string, object> = { '/health': {}, '/api/version': { version: '0.12.0' } }
    const answer = answers[path]
    reply(response, answer ? 200 : 404, answer ?? { detail: 'Not Found' })
  }

  /** Whether the ailment has handled the request. */
  #isSick(response: ServerResponse): boolean {
    const struck = this.#options.random() < 0.4
    switch (this.ailment) {
      case 'hung':
        return true
      case 'half-broken':
      case 'broken':
        if (this.ailment === 'half-broken' && !struck) return false
        reply(response, 500, { error: { message: 'CUDA error: an illegal memory access was encountered' } })
        return true
      case 'misconfigured':
        reply(response, 401, { error: { message: 'Incorrect API key provided' } })
        return true
      case 'limited':
        response.setHeader('retry-after', '2')
        reply(response, 429, { error: { message: 'Rate limit reached', code: 'rate_limit_exceeded' } })
        return true
      case 'resetting':
        if (struck) response.socket?.resetAndDestroy()
        return struck
      case 'cutting':
        if (struck) {
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': '200' })
          response.write('{"choices":[')
          setImmediate(() => response.socket?.destroy())
        }
        return struck
      default:
        return false
    }
  }

  async #answer(
    path: string,
    body: string,
    marker: Marker,
    visit: Visit,
    response: ServerResponse,
  ): Promise<void> {
    const { status, headers, parts } = answerTo({
      path,
      body,
      marker,
      readsImages: this.#options.readsImages,
    })
    if (parts.length === 0) return // never an answer
    response.writeHead(status, headers)
    for (const [index, part] of parts.entries()) {
      if (index > 0) await new Promise((resolve) => setTimeout(resolve, 5 + this.#options.random() * 20))
      if (response.destroyed) return
      response.write(part)
      // The first part of a stream contains its first content.
      if (parts.length > 1) visit.end = 'cut'
    }
    if (status === 200) visit.end = 'answered'
    response.end()
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
