import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ChatResponse } from '../core/chat.ts'
import type { ErrorOptions } from '../core/dialect.ts'
import { asRouterError } from '../core/errors.ts'
import { version } from '../core/version.ts'
import { type ChatCall, readChatCall } from '../relay/chat-request.ts'
import {
  answerChat,
  askChat,
  type ChatClient,
  type ChatQuestion,
  type ChatServices,
} from '../relay/chat-run.ts'
import { createClientStream } from '../relay/client-stream.ts'

declare module 'fastify' {
  interface FastifyInstance {
    gateway: {
      /** The chat request in a validated body. Throws what is wrong with its model. */
      chatCall(dialect: string, request: FastifyRequest): ChatCall
      /** Answers a chat request: target after target until one has given its first content. */
      chat(call: ChatCall, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>
      /** Asks a model on behalf of an endpoint, over the same targets. Throws the error to tell the client. */
      ask(question: ChatQuestion, request: FastifyRequest): Promise<ChatResponse>
    }
  }
}

/** The door to the models: every surface, also the router's own endpoints, goes through it. */
export default fp(
  (app, _options, done) => {
    app.decorate('gateway', {
      chatCall: (dialect, request) => chatCall(app, dialect, request),
      chat: async (call, request, reply) => {
        await tellUnlessTold(reply, answerChat(call, clientOf(app, call, reply), servicesOf(app, request)))
        return reply
      },
      ask: (question, request) => askChat(question, servicesOf(app, request)),
    })
    done()
  },
  { name: 'gateway', dependencies: ['config', 'registries', 'models', 'balancer', 'upstream', 'exchange'] },
)

function chatCall(app: FastifyInstance, dialectName: string, request: FastifyRequest): ChatCall {
  const { exchange, body, rawBody } = request
  exchange.dialect = dialectName
  const call = readChatCall({
    dialect: app.dialects.get(dialectName),
    body: body as Record<string, unknown>, // the route's schema has checked it
    rawBody,
    findModel: (name) => (dialectName === 'ollama' ? app.models.findLoosely(name) : app.models.find(name)),
    streamDefault: app.config.streamDefault,
  })
  exchange.model = call.model.alias
  exchange.stream = call.stream
  return call
}

/** Once a stream has begun, its client was told in-band, and Fastify has nothing more to say. */
async function tellUnlessTold(reply: FastifyReply, answer: Promise<void>): Promise<void> {
  try {
    await answer
  } catch (thrown) {
    const { exchange } = reply.request
    const error = asRouterError(thrown)
    exchange.error ??= error
    if (!reply.sent) throw thrown
    // A bug in the middle of a stream: the client must not wait for ever, nor take what it has for complete.
    if (error.kind === 'internal') reply.raw.destroy()
  }
}

function servicesOf(app: FastifyInstance, request: FastifyRequest): ChatServices {
  return {
    dialectOf: (name) => app.dialects.get(name),
    transportOf: app.upstream.transportOf,
    acquire: app.balancer.acquire,
    onFailover: (target, error) => {
      const { id, log } = request
      log.warn(
        { request_id: id, model: target.model, target: target.id, error_cause: error.causeCode },
        'failover',
      )
    },
    timeoutMs: app.config.externalTimeoutMs,
    userAgent: `llm-router/${version}`,
    exchange: request.exchange,
    clientHeaders: request.headers,
  }
}

function clientOf(app: FastifyInstance, call: ChatCall, reply: FastifyReply): ChatClient {
  const { exchange } = reply.request
  const options: ErrorOptions = { ownPath: false, debug: app.config.inDebug, requestId: reply.request.id }
  return {
    stream: () =>
      createClientStream(reply.raw, {
        mediaType: call.dialect.streamMediaType,
        headers: () => ({ ...headersOf(reply), ...lostHeader(exchange.lost) }),
        // From here on Fastify must not touch the response.
        onCommit: () => reply.hijack(),
        onWrite: (bytes) => {
          exchange.streamedBytes += bytes
        },
      }),
    whole: (body) => reply.headers(lostHeader(exchange.lost)).type('application/json').send(body),
    writeError: (error) => call.dialect.writeStreamError(error, options),
  }
}

function lostHeader(lost: ReadonlyMap<string, string>): Record<string, string> {
  if (lost.size === 0) return {}
  // Field names can come from the client's body: only what is legal in a header goes out.
  const names = [...lost.keys()].map((name) => name.replaceAll(/[^\w.[\]-]/g, '_').slice(0, 64))
  return { 'x-llm-router-lost': names.slice(0, 32).join(', ') }
}

function headersOf(reply: FastifyReply): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) headers[name] = String(value)
  }
  return headers
}
