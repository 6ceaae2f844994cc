import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ChatClient } from '../../relay/answer/client-stream.ts'
import { deferredClient } from '../../relay/answer/deferred-client.ts'
import type { KeepAlive } from '../../relay/answer/keep-alive.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import { answerChat } from '../../relay/run/chat.ts'
import type { RelayServices } from '../../relay/services.ts'
import type { Target } from '../../sdk/target.ts'
import { formOf, framingOf } from '../processors/answer-form.ts'
import { type ProcessedClient, processedClient } from '../processors/processed-client.ts'
import { sourcedClient } from '../retrieval/sourced-client.ts'
import { withNamedPrompt } from './named-prompt.ts'
import { endWithError, keptAlive, ReplyClient, throwUnlessSent } from './reply-client.ts'

interface ChatOptions {
  request: FastifyRequest
  reply: FastifyReply
  /** Id of the one target that may answer, without fallback models; undefined: any. */
  only: string | undefined
  servicesOf(request: FastifyRequest): RelayServices
}

/** Answers a client's chat request, from its named prompt to the last processor of its response. */
export async function answerClient(
  app: FastifyInstance,
  received: ClientRequest,
  { request, reply, only, servicesOf }: ChatOptions,
): Promise<FastifyReply> {
  const { dialect, model } = received
  const keepAlive = received.stream ? keptAlive(app, dialect, reply) : undefined
  try {
    const { exchange } = request
    exchange.dialect ??= dialect.name
    exchange.model ??= model.alias
    const processed = await processedRequest(app, received, request)
    const { client, settled } = responseClient(request, received, replyTo(app, processed, reply, keepAlive))
    const services = servicesOf(request)
    const cache = only === undefined ? app.answerCache.begin(request, reply, model) : undefined
    if (cache) await cache.chat(processed, client, services)
    else await answerChat(processed, client, only === undefined ? services : pinned(services, only))
    await settled()
  } catch (thrown) {
    if (!endWithError(received, request, keepAlive, thrown)) throwUnlessSent(reply, thrown)
  }
  return reply
}

/** The request with its named prompt and the passages found for it, after the processors of requests. */
async function processedRequest(
  app: FastifyInstance,
  received: ClientRequest,
  request: FastifyRequest,
): Promise<ClientRequest> {
  const prompted = withNamedPrompt(app, received, request)
  const augmented = app.retrieval.isUsed
    ? await app.retrieval.augmentClientRequest(prompted, request)
    : prompted
  const processing = app.processors.begin(request, received.model)
  request.processing = processing
  return processing ? processing.processClientRequest(augmented) : augmented
}

/** The client's side of the response: processors, then the sources of the passages, then the reply. */
function responseClient(
  { sources, processing }: FastifyRequest,
  { dialect }: ClientRequest,
  reply: ChatClient,
): ProcessedClient {
  const client = sources ? sourcedClient(reply, sources, () => framingOf(dialect.streamMediaType)) : reply
  if (!processing?.readsResponses) return { client, settled: async () => undefined }
  return processedClient(client, processing, formOf(dialect))
}

function replyTo(
  app: FastifyInstance,
  client: ClientRequest,
  reply: FastifyReply,
  keepAlive: KeepAlive | undefined,
): ChatClient {
  const answer = new ReplyClient(reply, client.dialect, { debug: app.config.inDebug, keepAlive })
  return client.beforeWrite ? deferredClient(answer, client.beforeWrite) : answer
}

/** The services of a request that only one target may answer. */
function pinned(services: RelayServices, id: string): RelayServices {
  const isWanted = (target: Target): boolean => target.id === id
  return {
    ...services,
    fallbacksOf: () => [],
    acquire: (model, context, signal) =>
      services.acquire(
        model,
        { ...context, canServe: (target) => isWanted(target) && (context.canServe?.(target) ?? true) },
        signal,
      ),
  }
}
