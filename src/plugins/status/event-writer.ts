import type { FastifyReply } from 'fastify'

/** Bytes that may wait for a slow client; beyond that it misses events. */
const maxWaitingBytes = 1024 * 1024

/**
 * Writes server-sent events (HTML standard, section 9.2). The headers are sent with the first event, so the request can be
 * rejected until then.
 */
export class EventWriter {
  readonly #reply: FastifyReply

  constructor(reply: FastifyReply) {
    this.#reply = reply
  }

  /** Whether the client is too slow for more. */
  get isBehind(): boolean {
    return this.#reply.raw.writableLength > maxWaitingBytes
  }

  /** `data`: one line. `event`: its name, if it has one. */
  send(data: string, event?: string): void {
    const { raw, request } = this.#reply
    if (!raw.headersSent) this.#begin()
    if (raw.destroyed) return
    const text = `${event === undefined ? '' : `event: ${event}\n`}data: ${data}\n\n`
    request.exchange.bodyBytes += Buffer.byteLength(text)
    raw.write(text)
  }

  end(): void {
    const { raw } = this.#reply
    if (!raw.headersSent) this.#begin()
    if (!raw.destroyed) raw.end()
  }

  #begin(): void {
    const { raw } = this.#reply
    this.#reply.hijack()
    raw.writeHead(200, {
      ...(this.#reply.getHeaders() as Record<string, string>), // the router sets no other type
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // Otherwise nginx would buffer the events.
      'x-accel-buffering': 'no',
    })
    raw.write('retry: 2000\n\n')
  }
}
