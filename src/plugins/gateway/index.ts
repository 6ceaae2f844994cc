import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ClientStream } from '../../relay/answer/client-stream.ts'
import {
  type ClientRequest,
  type PathRequest,
  readClientRequest,
} from '../../relay/request/client-request.ts'
import { loopError } from '../../relay/request/hops.ts'
import type { ChatQuestion } from '../../relay/run/chat.ts'
import type { RelayServices } from '../../relay/services.ts'
import type { ChatResponse } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import type { Answer, AnswerEvent, Question } from '../../sdk/question.ts'
import { ask, askForEndpoint, stream } from './ask.ts'
import { answerClient } from './chat.ts'
import { clientStream, keptAlive } from './reply-client.ts'
import { createServices } from './services.ts'

declare module 'fastify' {
  interface FastifyInstance {
    gateway: {
      /**
       * Reads the chat request in a validated body. `fromPath`: the model and whether to stream, for dialects that put them into the path.
       * Throws if the model is invalid.
       */
      clientRequest(dialect: string, request: FastifyRequest, fromPath?: PathRequest): ClientRequest
      /**
       * Answers a chat request: tries targets until one has sent its first content. `only`: id of the one target that may
       * answer, without fallback models.
       */
      chat(
        client: ClientRequest,
        request: FastifyRequest,
        reply: FastifyReply,
        only?: string,
      ): Promise<FastifyReply>
      /**
       * Calls a model for an extension's endpoint, with the permissions of this request's client, and as one request of its
       * limits. Throws the client's error.
       */
      ask(question: Question, request: FastifyRequest): Promise<Answer>
      /** As `ask`, but streams the answer. Errors are thrown at the first event; the call is cancelled when its reader stops. */
      stream(question: Question, request: FastifyRequest): AsyncGenerator<AnswerEvent, void, undefined>
      /** Calls a model for an endpoint of the router that resolves the model and counts its usage itself. */
      askChat(question: ChatQuestion, request: FastifyRequest): Promise<ChatResponse>
      /** What the relay needs to use a model's targets, for operations other than chat. */
      services(request: FastifyRequest): RelayServices
      /**
       * The client's side of a stream of this dialect that an endpoint writes itself. After its commit, the reply belongs to the
       * stream; the same applies once `reply.sent` shows that a keep-alive opened the stream. `stopPings`: must be called
       * before anything else replies to the request.
       */
      clientStream(reply: FastifyReply, dialect: Dialect): { stream: ClientStream; stopPings(): void }
    }
  }
}

/** The only access to models, used by all surfaces and the router's own endpoints. */
export default fp(
  (app, _options, done) => {
    const servicesOf = createServices(app)
    app.addHook('preParsing', ({ headers }, _reply, _payload, next) => next(loopError(headers['user-agent'])))
    app.decorate('gateway', {
      clientRequest: (dialect, request, fromPath) => clientRequest(app, dialect, request, fromPath),
      chat: (client, request, reply, only) => answerClient(app, client, { request, reply, only, servicesOf }),
      ask: async (question, request) => ask(app, servicesOf(request), question, request),
      async *stream(question, request) {
        yield* stream(app, servicesOf(request), question, request)
      },
      askChat: async (question, request) => askForEndpoint(app, servicesOf(request), question, request),
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
      'holding',
      'exchange',
      'directory',
      'busy',
      'processors',
      'retrieval',
      'answer-cache',
    ],
  },
)

function clientRequest(
  app: FastifyInstance,
  dialectName: string,
  request: FastifyRequest,
  fromPath: PathRequest | undefined,
): ClientRequest {
  const { exchange, body, rawBody } = request
  app.rights.requireModelAccess(request)
  const models = app.rights.models(request)
  exchange.dialect = dialectName
  const client = readClientRequest({
    dialect: app.dialects.get(dialectName),
    body: body as Record<string, unknown>, // the route's schema has checked it
    rawBody,
    findModel: (name) => (dialectName.startsWith('ollama') ? models.findLoosely(name) : models.find(name)),
    streamDefault: app.config.streamDefault,
    fromPath,
  })
  exchange.requestedName = client.alias
  exchange.model = client.model.alias
  exchange.stream = client.stream
  return client
}
