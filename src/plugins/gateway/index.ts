import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { ChatClient, ClientStream } from '../../relay/answer/client-stream.ts'
import { deferredClient } from '../../relay/answer/deferred-client.ts'
import type { KeepAlive } from '../../relay/answer/keep-alive.ts'
import {
  type ClientRequest,
  type PathRequest,
  readClientRequest,
} from '../../relay/request/client-request.ts'
import { loopError, userAgentAfter } from '../../relay/request/hops.ts'
import { DeclinedOperations } from '../../relay/request/operation-targets.ts'
import { answerChat, askChat, type ChatQuestion } from '../../relay/run/chat.ts'
import type { Acquire } from '../../relay/run/lease.ts'
import type { RelayServices } from '../../relay/services.ts'
import { refusesConnections } from '../../relay/upstream/connection-errors.ts'
import type { ChatResponse } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import { modelNotFound } from '../../sdk/errors.ts'
import type { Answer, AnswerEvent, Question } from '../../sdk/question.ts'
import type { Model, Target } from '../../sdk/target.ts'
import { clientAddress } from '../auth/client-address.ts'
import { formOf, framingOf } from '../processors/answer-form.ts'
import { processedClient } from '../processors/processed-client.ts'
import { blocked } from '../processors/protection.ts'
import { sourcedClient } from '../retrieval/sourced-client.ts'
import { ask, stream } from './ask.ts'
import { withNamedPrompt } from './named-prompt.ts'
import { clientStream, endWithError, keptAlive, ReplyClient, throwUnlessSent } from './reply-client.ts'
import { turnOf } from './turn.ts'

declare module 'fastify' {
  interface FastifyInstance {
    gateway: {
      /**
       * Reads the chat request in a validated body. `named`: model and stream from the path, if not in the body. Throws
       * if its model is invalid.
       */
      clientRequest(dialect: string, request: FastifyRequest, named?: PathRequest): ClientRequest
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
      /** The same as a stream: throws the errors of `ask` at the first event. Cancelled when its reader stops. */
      stream(question: Question, request: FastifyRequest): AsyncGenerator<AnswerEvent, void, undefined>
      /** The same for the router's own endpoints, which resolve the model and count usage themselves. */
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
    const servicesOf = servicesFor(app)
    app.addHook('preParsing', ({ headers }, _reply, _payload, next) => next(loopError(headers['user-agent'])))
    app.decorate('gateway', {
      clientRequest: (dialect, request, named) => clientRequest(app, dialect, request, named),
      chat: async (given, request, reply, only) => {
        const keepAlive = given.stream ? keptAlive(app, given.dialect, reply) : undefined
        try {
          const { exchange } = request
          exchange.dialect ??= given.dialect.name
          exchange.model ??= given.model.alias
          const named = withNamedPrompt(app, given, request)
          const retrieved = app.retrieval.isUsed ? await app.retrieval.client(named, request) : named
          const processing = app.processors.begin(request, given.model)
          request.processing = processing
          const client = processing ? await processing.client(retrieved) : retrieved
          const replied = replyTo(app, client, reply, keepAlive)
          const { streamMediaType } = given.dialect
          const answered = request.sources
            ? sourcedClient(replied, request.sources, () => framingOf(streamMediaType))
            : replied
          const end = processing?.readsAnswers
            ? processedClient(answered, processing, formOf(given.dialect))
            : undefined
          const services = servicesOf(request)
          const cache = only === undefined ? app.answerCache.begin(request, reply, given.model) : undefined
          const to = end?.client ?? answered
          if (cache) await cache.chat(client, to, services)
          else await answerChat(client, to, only === undefined ? services : pinned(services, only))
          await end?.settled()
        } catch (thrown) {
          if (!endWithError(given, request, keepAlive, thrown)) throwUnlessSent(reply, thrown)
        }
        return reply
      },
      ask: async (question, request) => ask(app, servicesOf(request), question, request),
      async *stream(question, request) {
        yield* stream(app, servicesOf(request), question, request)
      },
      askChat: async (question, request) => {
        const { model, request: given } = question
        const chat = app.retrieval.isUsed ? await app.retrieval.chat(given, model, request) : given
        const processing = app.processors.begin(request, question.model)
        if (!processing) return askChat({ ...question, request: chat }, servicesOf(request))
        const processed = { ...question, request: await processing.chat(chat) }
        const answer = await processing.answered(await askChat(processed, servicesOf(request)))
        if (processing.isBlocked) throw blocked('response')
        return answer
      },
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
  named: PathRequest | undefined,
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
    named,
  })
  exchange.requestedName = client.alias
  exchange.model = client.model.alias
  exchange.stream = client.stream
  return client
}

/** Creates the services of each request; those shared by all requests are created once. */
function servicesFor(app: FastifyInstance): (request: FastifyRequest) => RelayServices {
  const { acquire, retryBudget, isUnreliable } = app.balancer
  const shared: Omit<
    RelayServices,
    | 'acquire'
    | 'busy'
    | 'exchange'
    | 'clientHeaders'
    | 'clientName'
    | 'userAgent'
    | 'turn'
    | 'priority'
    | 'canary'
    | 'fallbacksOf'
    | 'onFailover'
  > = {
    dialectOf: (name) => app.dialects.get(name),
    declined: new DeclinedOperations(() => performance.now()),
    logOnce: onceLogger(app),
    transportOf: app.upstream.transportOf,
    collectsWholeAnswers: app.engines.collectsWholeAnswers,
    onWholeAnswer: app.engines.noteHeaders,
    budgetOf: retryBudget,
    isUnreliable,
    refusesConnections,
    timeoutMs: app.config.externalTimeoutMs,
    watch: app.health.attempts,
    loading: app.health.loading,
    hold: app.holding.hold,
  }
  return (request) => ({
    ...shared,
    acquire: acquireWithPermission(app, request, acquire),
    busy: app.busy.begin,
    exchange: request.exchange,
    clientHeaders: request.headers,
    userAgent: userAgentAfter(request.headers['user-agent']),
    clientName: () => request.exchange.client ?? clientAddress(request),
    ...turnOf(request),
    fallbacksOf: ({ fallbacks }) => fallbacksFor(app, request, fallbacks),
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

const none: readonly never[] = []

function fallbacksFor(
  app: FastifyInstance,
  request: FastifyRequest,
  configured: readonly string[],
): readonly Model[] {
  const { client, autoChoice } = request
  const chosen = autoChoice?.fallbacks ?? none
  if (configured.length + chosen.length === 0) return none
  return [...new Set([...configured, ...chosen])]
    .map((alias) => app.rights.models(request).find(alias))
    .filter((model) => model !== undefined)
    .filter(({ alias }) => !client || !app.budgets.isUsedUp(client.id, alias))
}

/** Logs each message once per process; there are only a few different ones. */
function onceLogger({ log }: FastifyInstance): (message: string) => void {
  const logged = new Set<string>()
  return (message) => {
    if (logged.has(message)) return
    logged.add(message)
    log.info(message)
  }
}

/** Enforces permissions on the model for every caller. */
function acquireWithPermission(
  { rights }: FastifyInstance,
  { client }: FastifyRequest,
  acquire: Acquire,
): Acquire {
  if (!client?.models) return acquire
  return (model, wish, signal) => {
    if (!rights.mayUse(client, model.alias)) throw modelNotFound(model.alias)
    return acquire(model, wish, signal)
  }
}

/** The same services for a request that only one target may answer. */
function pinned(services: RelayServices, id: string): RelayServices {
  const isWanted = (target: Target): boolean => target.id === id
  return {
    ...services,
    fallbacksOf: () => [],
    acquire: (model, wish, signal) =>
      services.acquire(
        model,
        { ...wish, canServe: (target) => isWanted(target) && (wish.canServe?.(target) ?? true) },
        signal,
      ),
  }
}

function replyTo(
  app: FastifyInstance,
  client: ClientRequest,
  reply: FastifyReply,
  keepAlive: KeepAlive | undefined,
): ChatClient {
  const answer = new ReplyClient(reply, client.dialect, { debug: app.config.inDebug, keepAlive })
  return client.beforeEnd ? deferredClient(answer, client.beforeEnd) : answer
}
