import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { deferWrite } from '../../lib/deferred-writes.ts'
import { ClientAnswerContext } from '../../relay/answer/answer-context.ts'
import { answerHeaders, trailingComment } from '../../relay/answer/answer-headers.ts'
import { type ChatClient, type ClientStream, createClientStream } from '../../relay/answer/client-stream.ts'
import { KeepAlive } from '../../relay/answer/keep-alive.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { asRouterError, type RouterError } from '../../sdk/errors.ts'

/** The client's side of the response to a chat. */
export class ReplyClient implements ChatClient {
  readonly #reply: FastifyReply
  readonly #dialect: Dialect
  readonly #debug: boolean
  readonly #keepAlive: KeepAlive | undefined

  constructor(
    reply: FastifyReply,
    dialect: Dialect,
    { debug, keepAlive }: { debug: boolean; keepAlive: KeepAlive | undefined },
  ) {
    this.#reply = reply
    this.#dialect = dialect
    this.#debug = debug
    this.#keepAlive = keepAlive
  }

  stream(): ClientStream {
    return this.#keepAlive?.attemptStream() ?? clientStream(this.#reply, this.#dialect.streamMediaType)
  }

  whole(body: Buffer | string): void {
    sendWhole(this.#reply, body)
  }

  large(): ClientStream {
    return clientStream(this.#reply, 'application/json; charset=utf-8')
  }

  writeError(error: RouterError): string {
    const options = { ownPath: false, debug: this.#debug, requestId: this.#reply.request.id }
    return this.#dialect.writeStreamError(error, options)
  }
}

/** Writes head and body in one piece, bypassing Fastify's serialization. */
function sendWhole(reply: FastifyReply, body: Buffer | string): void {
  const { exchange } = reply.request
  const length = Buffer.byteLength(body)
  exchange.answeredAt = performance.now()
  exchange.bodyBytes = length
  reply.hijack()
  const headers = answerHeaders(exchange, headersOf(reply))
  headers['content-type'] = 'application/json'
  headers['content-length'] = String(length)
  reply.raw.writeHead(200, headers)
  deferWrite(() => reply.raw.end(body))
}

interface StreamState {
  /** Whether the head is sent before the answering target and its dropped fields are known. */
  isEarly(): boolean
  /** Whether the written bytes are a response, or precede one. */
  hasContent(): boolean
}

export function clientStream(reply: FastifyReply, mediaType: string, state?: StreamState): ClientStream {
  const { exchange } = reply.request
  return createClientStream(reply.raw, {
    mediaType,
    headers: () => {
      const isKnown = !state?.isEarly()
      return answerHeaders(exchange, headersOf(reply), { dropped: isKnown, route: isKnown })
    },
    // From here on Fastify must not touch the response.
    onCommit: () => reply.hijack(),
    onWrite: (bytes) => {
      exchange.bodyBytes += bytes
      if (state?.hasContent() === false) exchange.idleBytes += bytes
    },
  })
}

/** Keep-alives of the stream that this reply may become, if configured. */
export function keptAlive(
  app: FastifyInstance,
  dialect: Dialect,
  reply: FastifyReply,
): KeepAlive | undefined {
  const { streamKeepAliveMs: intervalMs } = app.config
  const { ping, streamMediaType } = dialect
  if (intervalMs === 0 || ping === undefined) return undefined
  const { exchange } = reply.request
  let isEarly = false
  const stream = clientStream(reply, streamMediaType, {
    isEarly: () => isEarly,
    hasContent: () => keepAlive.hasContent,
  })
  const onOpen = (): void => {
    isEarly = true
  }
  const lastWords = (): string => trailingComment(exchange)
  const keepAlive = new KeepAlive(stream, { intervalMs, ping, onOpen, trailer: lastWords })
  reply.raw.once('close', () => keepAlive.stop())
  return keepAlive
}

/** Ends an open stream with the error. False if it is not open yet, so the error can be sent with its status. */
export function endWithError(
  client: ClientRequest,
  request: FastifyRequest,
  keepAlive: KeepAlive | undefined,
  thrown: unknown,
): boolean {
  keepAlive?.stopUnlessOpen()
  if (!keepAlive?.opened || keepAlive.hasContent) return false
  const { exchange } = request
  const error = asRouterError(thrown)
  exchange.error ??= error
  // The stream's writer also writes what must precede an error.
  const writer = client.dialect.chat.createWriter(new ClientAnswerContext(client, exchange))
  keepAlive.end(writer.write({ type: 'error', error: exchange.forClient(error) }))
  return true
}

/** Once a stream has begun, its error is written in-band, and Fastify has nothing more to send. */
export function throwUnlessSent(reply: FastifyReply, thrown: unknown): void {
  const { exchange } = reply.request
  const error = asRouterError(thrown)
  exchange.error ??= error
  if (!reply.sent) throw thrown
  // A bug in the middle of a stream: the client must neither wait forever nor see a complete response.
  if (error.kind === 'internal') reply.raw.destroy()
}

/** Headers set by plugins. */
export function headersOf(reply: FastifyReply): Record<string, string> {
  const headers: Record<string, string> = {}
  const all = reply.getHeaders()
  for (const name in all) if (all[name] !== undefined) headers[name] = String(all[name])
  return headers
}
