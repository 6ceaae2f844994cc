import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { atTurnEnd } from '../../lib/turn-end.ts'
import { version } from '../../lib/version.ts'
import { CallAnswerContext } from '../../relay/answer/answer-context.ts'
import { answerHeaders, lateComment } from '../../relay/answer/answer-headers.ts'
import { type ClientStream, createClientStream } from '../../relay/answer/client-stream.ts'
import { heldClient } from '../../relay/answer/held-client.ts'
import { KeepAlive } from '../../relay/answer/keep-alive.ts'
import { type ChatCall, readChatCall } from '../../relay/request/chat-request.ts'
import { DeclinedOperations } from '../../relay/request/declined-operations.ts'
import {
  answerChat,
  askChat,
  type ChatClient,
  type ChatQuestion,
  type ChatServices,
} from '../../relay/run/chat-run.ts'
import type { Acquire } from '../../relay/run/over-targets.ts'
import { refusesConnections } from '../../relay/upstream/refused-connection.ts'
import type { ChatResponse } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { asRouterError, badRequest, modelNotFound, type RouterError } from '../../sdk/errors.ts'
import type { Answer, AnswerEvent, Question } from '../../sdk/question.ts'
import { clientAddress } from '../auth/client-address.ts'
import { namedPrompt } from '../text-endpoints/system-prompt.ts'
import { systemOf } from '../text-endpoints/text-request.ts'
import { ask, stream } from './ask.ts'

declare module 'fastify' {
  interface FastifyInstance {
    gateway: {
      /** The chat request in a validated body. Throws what is wrong with its model. */
      chatCall(dialect: string, request: FastifyRequest): ChatCall
      /** Answers a chat request: target after target until one has given its first content. */
      chat(call: ChatCall, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>
      /**
       * Asks a model for an endpoint of an extension: with the rights of the client of this request, and as one request of its
       * limits. Throws the error to tell that client.
       */
      ask(question: Question, request: FastifyRequest): Promise<Answer>
      /** The same, as the answer is written: throws at the first event what `ask` throws. Ends with its reader. */
      stream(question: Question, request: FastifyRequest): AsyncGenerator<AnswerEvent, void, undefined>
      /** The same for an endpoint of the router, which has found the model for the client and counts what it asks. */
      askChat(question: ChatQuestion, request: FastifyRequest): Promise<ChatResponse>
      /** What a run over a model's targets needs; for operations beside the chat. */
      services(request: FastifyRequest): ChatServices
      /**
       * The client's end of a stream of this dialect that an endpoint writes itself. From its commit on the reply is the
       * stream's; so it is once `reply.sent` says that the stream was opened to keep it alive. `stopPings`: must be called
       * before anything else answers the request.
       */
      clientStream(reply: FastifyReply, dialect: Dialect): { stream: ClientStream; stopPings(): void }
    }
  }
}

/** The door to the models: every surface, also the router's own endpoints, goes through it. */
export default fp(
  (app, _options, done) => {
    const servicesOf = servicesFor(app)
    app.decorate('gateway', {
      chatCall: (dialect, request) => chatCall(app, dialect, request),
      chat: async (given, request, reply) => {
        const keepAlive = given.stream ? keptAlive(app, given.dialect, reply) : undefined
        try {
          const { exchange } = request
          exchange.dialect ??= given.dialect.name
          exchange.model ??= given.model.alias
          const call = withNamedPrompt(app, given, request)
          await answerChat(call, clientOf(app, call, reply, keepAlive), servicesOf(request))
        } catch (thrown) {
          if (!tellInStream(given, request, keepAlive, thrown)) tellUnlessTold(reply, thrown)
        }
        return reply
      },
      ask: async (question, request) => ask(app, servicesOf(request), question, request),
      async *stream(question, request) {
        yield* stream(app, servicesOf(request), question, request)
      },
      askChat: (question, request) => askChat(question, servicesOf(request)),
      services: servicesOf,
      clientStream: (reply, dialect) => {
        const keepAlive = keptAlive(app, dialect, reply)
        const stream = keepAlive?.attemptStream() ?? clientStream(reply, dialect.streamMediaType)
        return { stream, stopPings: () => keepAlive?.stop() }
      },
    })
    done()
  },
  {
    name: 'gateway',
    dependencies: [
      'config',
      'registries',
      'auth',
      'models',
      'prompts',
      'balancer',
      'health',
      'upstream',
      'engines',
      'exchange',
    ],
  },
)

function chatCall(app: FastifyInstance, dialectName: string, request: FastifyRequest): ChatCall {
  const { exchange, body, rawBody } = request
  app.rights.checkAsking(request)
  const models = app.rights.models(request)
  exchange.dialect = dialectName
  const call = readChatCall({
    dialect: app.dialects.get(dialectName),
    body: body as Record<string, unknown>, // the route's schema has checked it
    rawBody,
    findModel: (name) => (dialectName.startsWith('ollama') ? models.findLoosely(name) : models.find(name)),
    streamDefault: app.config.streamDefault,
  })
  exchange.model = call.model.alias
  exchange.stream = call.stream
  return call
}

/** Where configured, what breaks the silences of the stream that this reply may become. */
function keptAlive(app: FastifyInstance, dialect: Dialect, reply: FastifyReply): KeepAlive | undefined {
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
  const lastWords = (): string => lateComment(exchange)
  const keepAlive = new KeepAlive(stream, { intervalMs, ping, onOpen, lastWords })
  reply.raw.once('close', () => keepAlive.stop())
  return keepAlive
}

/** False: the stream has not been opened, so the error can have its status. */
function tellInStream(
  call: ChatCall,
  request: FastifyRequest,
  keepAlive: KeepAlive | undefined,
  thrown: unknown,
): boolean {
  keepAlive?.stopUnlessOpen()
  if (!keepAlive?.opened || keepAlive.hasContent) return false
  const { exchange } = request
  const error = asRouterError(thrown)
  exchange.error ??= error
  // The writer of a stream also writes what has to come before an error.
  const writer = call.dialect.chat.createWriter(new CallAnswerContext(call, exchange))
  keepAlive.end(writer.write({ type: 'error', error }))
  return true
}

/** Once a stream has begun, its client was told in-band, and Fastify has nothing more to say. */
function tellUnlessTold(reply: FastifyReply, thrown: unknown): void {
  const { exchange } = reply.request
  const error = asRouterError(thrown)
  exchange.error ??= error
  if (!reply.sent) throw thrown
  // A bug in the middle of a stream: the client must not wait for ever, nor take what it has for complete.
  if (error.kind === 'internal') reply.raw.destroy()
}

/** Gives each request its services. What is the same for all of them is made once. */
function servicesFor(app: FastifyInstance): (request: FastifyRequest) => ChatServices {
  const { acquire, retryBudget, isDoubtful } = app.balancer
  const house: Omit<
    ChatServices,
    'acquire' | 'exchange' | 'clientHeaders' | 'clientName' | 'fallbacksOf' | 'onFailover'
  > = {
    dialectOf: (name) => app.dialects.get(name),
    declined: new DeclinedOperations(() => performance.now()),
    transportOf: app.upstream.transportOf,
    collects: app.engines.collects,
    heard: app.engines.heard,
    budgetOf: retryBudget,
    isDoubtful,
    refusesConnections,
    timeoutMs: app.config.externalTimeoutMs,
    userAgent: `llm-router/${version}`,
    watch: app.health.attempts,
    loading: app.health.loading,
  }
  return (request) => ({
    ...house,
    acquire: guarded(request, acquire),
    exchange: request.exchange,
    clientHeaders: request.headers,
    clientName: () => request.exchange.client ?? clientAddress(request),
    fallbacksOf: ({ fallbacks }) =>
      fallbacks.map((alias) => app.rights.models(request).find(alias)).filter((model) => model !== undefined),
    onFailover: (target, error) => {
      const { exchange, log } = request
      const { causeCode, upstreamText } = error
      log.warn(
        {
          ...exchange.logIds,
          model: target.model,
          target: target.id,
          error_cause: causeCode,
          upstream_text: upstreamText,
        },
        'failover',
      )
    },
  })
}

/** Whatever asked for it: no model without a right to it. */
function guarded({ client }: FastifyRequest, acquire: Acquire): Acquire {
  if (!client?.models) return acquire
  return (model, wish, signal) => {
    if (!client.mayUse(model.alias)) throw modelNotFound(model.alias)
    return acquire(model, wish, signal)
  }
}

function clientOf(
  app: FastifyInstance,
  call: ChatCall,
  reply: FastifyReply,
  keepAlive: KeepAlive | undefined,
): ChatClient {
  const client = new ReplyClient(reply, call.dialect, { debug: app.config.inDebug, keepAlive })
  return call.beforeEnd ? heldClient(client, call.beforeEnd) : client
}

class ReplyClient implements ChatClient {
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

/** The head and the body in one piece; Fastify would look for their kind, which is known. */
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
  atTurnEnd(() => reply.raw.end(body))
}

interface StreamState {
  /** Whether the head goes out before it is known which target answers, and what it could not carry. */
  isEarly(): boolean
  /** Whether what is written is an answer, or stands in front of one. */
  hasContent(): boolean
}

function clientStream(reply: FastifyReply, mediaType: string, state?: StreamState): ClientStream {
  const { exchange } = reply.request
  return createClientStream(reply.raw, {
    mediaType,
    headers: () => answerHeaders(exchange, headersOf(reply), { dropped: !state?.isEarly() }),
    // From here on Fastify must not touch the response.
    onCommit: () => reply.hijack(),
    onWrite: (bytes) => {
      exchange.bodyBytes += bytes
      if (state?.hasContent() === false) exchange.idleBytes += bytes
    },
  })
}

const promptHeader = 'x-llm-router-prompt'
const variablesHeader = 'x-llm-router-prompt-variables'

/**
 * The call with the prompt that its client names in a header as the first system message. The request is then no longer
 * the client's bytes, so it goes through the canonical form.
 */
function withNamedPrompt(app: FastifyInstance, call: ChatCall, request: FastifyRequest): ChatCall {
  const id = request.headers[promptHeader]
  if (call.source.from === 'router' || typeof id !== 'string' || id === '') return call
  const variables = variablesIn(request.headers[variablesHeader])
  const text = namedPrompt(app.prompts, { id, variables, path: promptHeader })
  request.limitUse?.addPrompt(() => text)
  const read = call.dialect.chat.readRequest(call.readBody(), call.stream)
  return {
    ...call,
    source: { from: 'router', request: { ...read, messages: [systemOf(text), ...read.messages] } },
  }
}

/** Values of a prompt's placeholders: a JSON object of texts. Headers hold no more than ASCII, so `\u` escapes do. */
function variablesIn(header: string | string[] | undefined): Record<string, string> {
  if (typeof header !== 'string' || header === '') return {}
  const parsed = parsedJson(header)
  if (isTexts(parsed)) return parsed
  throw badRequest(`The header ${variablesHeader} must be a JSON object of strings`, variablesHeader)
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the parser's own words would quote the header
  }
}

function isTexts(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((each) => typeof each === 'string')
}

function headersOf(reply: FastifyReply): Record<string, string> {
  const headers: Record<string, string> = {}
  const all = reply.getHeaders()
  for (const name in all) if (all[name] !== undefined) headers[name] = String(all[name])
  return headers
}
